"""What every error has: a code, a sentence, and what is wrong in this case."""


class TurnoError(Exception):
    """Something went wrong here that should not have; the request id finds it in the service's log."""

    code = "internal-error"

    def __init__(self, detail: str | None = None, **members: object) -> None:
        """Takes what is wrong in this case; `members` are further members of the problem document."""
        self.detail = detail or self.title()
        self.members = members
        super().__init__(self.detail)

    @classmethod
    def title(cls) -> str:
        """The fixed sentence for this kind of error."""
        return (cls.__doc__ or cls.__name__).split("\n")[0].strip()


class OperatorError(Exception):
    """A start that cannot succeed; the message is one sentence that says what to do."""
