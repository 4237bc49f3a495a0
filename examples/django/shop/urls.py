"""The site's pages."""

from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.urls import include, path


def home(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"You are {request.user.get_username() or 'nobody'}.")


urlpatterns = [
    path("", home),
    path("login/", LoginView.as_view(template_name="login.html")),
    path("accounts/", include("allauth.urls")),
]
