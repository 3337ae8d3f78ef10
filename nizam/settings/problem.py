"""What is wrong with one setting."""

from __future__ import annotations

from nizam.errors import NizamError


class SettingError(NizamError):
    """A setting has a value that is not supported: `name`, what is wrong, what is accepted."""

    code = "setting_invalid"
    title = "A setting is not valid"

    def __init__(self, name: str, problem: str, accepted: str) -> None:
        super().__init__(f"{name}: {problem}; accepted: {accepted}")
        self.name = name
        self.problem = problem
        self.accepted = accepted
