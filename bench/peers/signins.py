"""What our own acts have in common: the sign-in of one user, and a worker that logs nothing, as the peers."""

from yellowbooks.signin import SignIn

UA = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"


def event(number: int) -> SignIn:
    """The sign-in of one user."""
    return SignIn(
        user_id=f"user-{number}", email=f"bat{number}@example.mn", name="Бат-Эрдэнэ", provider="google",
        ip_address="203.0.113.7", user_agent=UA,
    )  # fmt: skip


def quiet(*_words: object, **_fields: object) -> None:
    """Nothing is logged."""
