"""A Django site with two ways to sign in: Django's own form, and GitHub by django-allauth."""
