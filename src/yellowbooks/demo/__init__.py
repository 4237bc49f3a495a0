"""The Yellow Books demo: a small directory whose sign-in shows a newcomer all that happens."""

from yellowbooks.demo.parts import DemoParts, FindMail, Mail
from yellowbooks.demo.site import create_site

__all__ = ["DemoParts", "FindMail", "Mail", "create_site"]
