import hashlib
import json

from django.http import HttpResponse, HttpResponseNotAllowed, JsonResponse, StreamingHttpResponse
from django.shortcuts import render
from pyodide.ffi import run_sync
from workers import env


def stock(request):
    return request.environ["workers.env"].STOCK.getByName("main")


def index(request):
    rows = run_sync(stock(request).everything())
    return render(request, "stock.html", {"shop": env.SHOP, "rows": rows})


def change(request, name):
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    by = json.loads(request.body)["by"]
    return JsonResponse({"name": name, "pieces": run_sync(stock(request).change(name, by))})


def orders(request):
    run_sync(env.ORDERS.exec("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, what TEXT)"))
    if request.method == "POST":
        order = env.ORDERS.prepare("INSERT INTO orders (what) VALUES (?)").bind(request.POST["what"])
        return JsonResponse({"id": run_sync(order.run())["meta"]["last_row_id"]}, status=201)
    rows = run_sync(env.ORDERS.prepare("SELECT * FROM orders ORDER BY id").all()).results
    return JsonResponse({"orders": [row.what for row in rows]})


def visits(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    return JsonResponse({"visits": request.session["visits"]})


def upload(request):
    file = request.FILES["file"]
    return JsonResponse(
        {
            "name": file.name,
            "size": file.size,
            "sha256": hashlib.sha256(file.read()).hexdigest(),
            "note": request.POST["note"],
        }
    )


def report(request):
    def lines():
        yield "name,pieces\n"
        for row in run_sync(stock(request).everything()):
            yield f"{row['name']},{row['pieces']}\n"

    return StreamingHttpResponse(lines(), content_type="text/csv")


def broken(request):
    raise ValueError("broken on purpose")
