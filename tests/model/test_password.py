"""Which passwords are refused because they are guessed first."""

from __future__ import annotations

import pytest

from nizam.model.password import normalised, weakness

ADA = ("ada.lovelace@example.com", "Ada Lovelace")


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "seven purple giraffes",
        "vK8#qPz2mW!xLr",
        "Zq7$wv%Kp&2!sT",
        "blaue Pferde fliegen nachts",
        "пароль длинный и странный",
        "§$%&/()=?`+~#'",
    ],
)
def test_what_nobody_guesses_is_taken(password: str) -> None:
    assert weakness(password, ADA) is None


@pytest.mark.parametrize(
    "password",
    [
        "aaaaaaaaaaaaaaaa",
        "abababababababab",
        "123456789012",
        "abcdefghijklmnop",
        "qwertyuiop123",
        "1qaz2wsx3edc4rfv",
        "PasswordPassword",
        "P@ssw0rd2026!!",
        "Welcome to 2026!",
        "letmein-letmein",
        "Summer2025!!!!",
        "adalovelace2026",
        "ada.lovelace@example.com",
        "Ada-Lovelace-1234",
        "nizam-admin-secret",
    ],
)
def test_what_is_guessed_first_is_refused(password: str) -> None:
    assert weakness(password, ADA) is not None


def test_every_way_to_type_a_character_is_the_same_password() -> None:
    assert normalised("cafe\u0301 cre\u0300me bru\u0302le\u0301e") == normalised(
        "café crème brûlée"
    )
    assert normalised("ﬁve ﬁsh") == "five fish"
