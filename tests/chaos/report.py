"""What a run says in the end."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from tests.chaos.run import Outcome, Violation


def table(kinds: Sequence[str], missing: Mapping[str, str], outcome: Outcome) -> Iterator[str]:
    """A line for each kind: how often it struck, and the exports that were under way then."""
    violated = {violation.export_id for violation in outcome.violations}
    width = max(map(len, (*kinds, *missing)))
    yield f"{'fault':{width}}  times  exports under way  violated"
    for kind in kinds:
        struck = [s for s in outcome.struck if s.fault.kind == kind and not s.missed]
        exports = set().union(*(s.exports for s in struck))
        yield f"{kind:{width}}  {len(struck):5}  {len(exports):17}  {len(exports & violated):8}"
    for kind, reason in missing.items():
        yield f"{kind:{width}}  not run: {reason}"
    happened = [s for s in outcome.struck if not s.missed]
    exports = set().union(*(s.exports for s in happened))
    yield f"{'all':{width}}  {len(happened):5}  {len(exports):17}  {len(outcome.violations):8}"
    if missed := len(outcome.struck) - len(happened):
        yield f"{missed} times a fault met nothing that it could have struck, and was tried again"


#: What processes say of faults that reached them.
_SIGNS = (
    "SlowDown",
    "XMinioStorageFull",
    "not reachable",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "AccessDenied",
    "database does not answer",
    "disk of the database is full",
    "doorbell did not ring",
    "claim lost",
    "runs alone",
)


def signs(lines: Iterable[tuple[str, dict[str, object]]]) -> str:
    """How many log lines tell of faults that reached a process."""
    counts = dict.fromkeys(_SIGNS, 0)
    for _, line in lines:
        text = str(line)
        for sign in _SIGNS:
            counts[sign] += sign in text
    return "log lines: " + ", ".join(f"{sign} {count}" for sign, count in counts.items())


def around(outcome: Outcome, violation: Violation) -> Iterator[str]:
    """The faults while an export was under way, in the order of time."""
    for struck in sorted(outcome.struck, key=lambda s: s.began):
        if violation.export_id in struck.exports:
            fault = struck.fault
            yield (
                f"fault {fault.number}, {struck.began:.1f} to {struck.ended:.1f}: {fault.kind} "
                f"({fault.place})"
            )
