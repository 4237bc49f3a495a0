"""Settings in, parts out: the only room that knows every part."""

from yellowbooks.wiring.access import expect_keys, key_secrets, key_store, look_for_keys
from yellowbooks.wiring.checks import check, make_data_dir
from yellowbooks.wiring.demo import check_demo, demo_address, demo_port, serve_demo
from yellowbooks.wiring.log import LogReader, database_url
from yellowbooks.wiring.mail import (
    bounce_intake,
    mail_secret,
    make_mailer,
    make_signer,
    open_inbox,
    open_letters,
    sign_in_handler,
    suppression_list,
)
from yellowbooks.wiring.notices import device_memory, worker_kinds
from yellowbooks.wiring.privacy import Holdings, every_kind, find_person, holdings
from yellowbooks.wiring.queue import beside_up, kinds, look_at_server, open_queue, schedules
from yellowbooks.wiring.reconcile import reconcile
from yellowbooks.wiring.roles import Roles
from yellowbooks.wiring.webhooks import webhook_keys, webhook_routes

__all__ = [
    "Holdings",
    "LogReader",
    "Roles",
    "beside_up",
    "bounce_intake",
    "check",
    "check_demo",
    "database_url",
    "demo_address",
    "demo_port",
    "device_memory",
    "every_kind",
    "expect_keys",
    "find_person",
    "holdings",
    "key_secrets",
    "key_store",
    "kinds",
    "look_at_server",
    "look_for_keys",
    "mail_secret",
    "make_data_dir",
    "make_mailer",
    "make_signer",
    "open_inbox",
    "open_letters",
    "open_queue",
    "reconcile",
    "schedules",
    "serve_demo",
    "sign_in_handler",
    "suppression_list",
    "webhook_keys",
    "webhook_routes",
    "worker_kinds",
]
