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
