"""Organizations that put a Cartouche under load, each with a dataset and a key of its own."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.datasets import Picture, bbox, jpeg, noise_jpeg, put_all, unique
from tests.stack import Stack

#: Images of a small dataset: an export of it is one short step.
_SMALL = [Picture(f"{n}.jpg", jpeg(seed=n), [bbox("car")]) for n in range(3)]


@dataclass(frozen=True)
class Tenant:
    """An organization, the name of its dataset, and its owner's key."""

    organization: str
    dataset: str
    key: str


def tenants(stack: Stack, count: int) -> list[Tenant]:
    """So many new organizations, each with a small dataset."""

    def made(number: int) -> Tenant:
        organization = unique(f"tenant{number}")
        put_all(stack, "small", _SMALL, organization=organization)
        return Tenant(organization, "small", stack.key("owner", organization))

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(made, range(count)))


def large_dataset(stack: Stack, tenant: Tenant, images: int) -> str:
    """The name of a new dataset of the tenant, of images of 0.9 MB each."""
    pictures = [
        Picture(f"{n:03}.jpg", noise_jpeg(n), [bbox("car", x=k) for k in range(20)])
        for n in range(images)
    ]
    name = unique("large")
    put_all(stack, name, pictures, organization=tenant.organization)
    return name
