"""`turno doctor`: looks at a service from where its users are, and says what is wrong and what to do."""

from turno.doctor.examination import examine

__all__ = ["examine"]
