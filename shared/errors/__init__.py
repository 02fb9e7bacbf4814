"""What can go wrong, by name; `api.problems` alone decides which HTTP status each becomes.

The docstring of each class is its title for people.

TurnoError
├── RequestError               the caller's: final, the sentence says what to change
│   ├── MalformedRequest, UnknownRoute, MethodRefused
│   ├── Unauthorized, ScopeMissing, RateExceeded, QuotaExceeded
│   ├── HostRefused            open mode reached by another name than localhost, or through a proxy
│   ├── UnknownModel, UnknownJob, UnknownBatch, JobErased, BatchErased
│   ├── UnknownWebhook, UnknownDelivery, WebhookRefused
│   ├── MoveRefused            the job's present state does not allow it
│   ├── KeyReused, BatchRefused
│   ├── UploadTooLarge, UploadTooSlow
│   └── ImageTypeRefused, ImageUndecodable, ImageTooManyPixels
├── CapacityError              nobody's: come back later
│   ├── StorageFull, StoreUnavailable, QueueFull, NamesUnavailable
│   └── PredictTimeout         /predict waited its time; the job goes on
└── JobError                   recorded with a job that ended as failed
    └── WorkerLost, ModelGone, DeadlineExceeded, ImageMissing, ModelFault
OperatorError                  a start refused: one sentence for the person at the terminal
"""

from shared.errors.capacity import (
    CapacityError,
    NamesUnavailable,
    PredictTimeout,
    QueueFull,
    StorageFull,
    StoreUnavailable,
)
from shared.errors.job import (
    DeadlineExceeded,
    ImageMissing,
    JobError,
    ModelFault,
    ModelGone,
    WorkerLost,
)
from shared.errors.request import (
    BatchErased,
    BatchRefused,
    HostRefused,
    ImageTooManyPixels,
    ImageTypeRefused,
    ImageUndecodable,
    JobErased,
    KeyReused,
    MalformedRequest,
    MethodRefused,
    MoveRefused,
    QuotaExceeded,
    RateExceeded,
    RequestError,
    ScopeMissing,
    Unauthorized,
    UnknownBatch,
    UnknownDelivery,
    UnknownJob,
    UnknownModel,
    UnknownRoute,
    UnknownWebhook,
    UploadTooLarge,
    UploadTooSlow,
    WebhookRefused,
)
from shared.errors.root import (
    OperatorError,
    TurnoError,
)

__all__ = [
    "BatchErased",
    "BatchRefused",
    "CapacityError",
    "DeadlineExceeded",
    "HostRefused",
    "ImageMissing",
    "ImageTooManyPixels",
    "ImageTypeRefused",
    "ImageUndecodable",
    "JobErased",
    "JobError",
    "KeyReused",
    "MalformedRequest",
    "MethodRefused",
    "ModelFault",
    "ModelGone",
    "MoveRefused",
    "NamesUnavailable",
    "OperatorError",
    "PredictTimeout",
    "QueueFull",
    "QuotaExceeded",
    "RateExceeded",
    "RequestError",
    "ScopeMissing",
    "StorageFull",
    "StoreUnavailable",
    "TurnoError",
    "Unauthorized",
    "UnknownBatch",
    "UnknownDelivery",
    "UnknownJob",
    "UnknownModel",
    "UnknownRoute",
    "UnknownWebhook",
    "UploadTooLarge",
    "UploadTooSlow",
    "WebhookRefused",
    "WorkerLost",
]
