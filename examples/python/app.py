"""A program that tells of a sign-in and ends: python app.py USER EMAIL."""

import logging
import os
import sys

from yellowbooks.client import Client

logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")


# region client
def tell(word: str, **fields: object) -> None:
    level = logging.INFO if word in ("back", "adopted") else logging.WARNING
    logging.log(level, "yellowbooks %s %s", word, fields)


notifier = Client(
    os.environ.get("YB_URL", "http://127.0.0.1:3333"),
    key=os.environ.get("YB_API_KEY"),  # one of the API's YB_API_KEYS
    spool=os.environ.get("YB_SPOOL", "spool"),
    tell=tell,
)
# endregion client


def main(user: str, email: str) -> None:
    # region call
    receipt = notifier.signed_in(
        user_id=user,
        email=email,
        provider="password",
        ip_address="192.0.2.10",
        user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    )
    # endregion call
    print(receipt.job_id, receipt.word)


if __name__ == "__main__":
    main(*sys.argv[1:3])
