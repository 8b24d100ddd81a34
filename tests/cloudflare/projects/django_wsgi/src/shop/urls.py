from django.urls import path

from shop import views

urlpatterns = [
    path("", views.index),
    path("stock/<str:name>/", views.change),
    path("orders/", views.orders),
    path("visits/", views.visits),
    path("upload/", views.upload),
    path("report.csv", views.report),
    path("broken/", views.broken),
]
