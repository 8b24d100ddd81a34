try:
    from workers import env

    SECRET_KEY = env.SECRET_KEY
except ImportError:
    SECRET_KEY = "for manage.py"

DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "worker.application"
USE_TZ = True
INSTALLED_APPS = ["django.contrib.sessions"]
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
MIDDLEWARE = [
    "django.middleware.common.CommonMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {"loaders": [("django.template.loaders.locmem.Loader", {
            "stock.html": "<h1>{{ shop }}</h1>{% for row in rows %}<p>{{ row.name }}: {{ row.pieces }}</p>{% endfor %}",
        })]},
    }
]
