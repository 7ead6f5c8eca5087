"""The tables. Times are seconds since 1970 (UTC) by the database's clock, ids are UUIDs."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Paths sort by their UTF-8 bytes on every database.
_Path = Text().with_variant(Text(collation="C"), "postgresql")

organizations = Table(
    "organizations",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(120), nullable=False, unique=True),
    # Calls an hour of each key; 0: any number; null: the default.
    Column("rate_limit", Integer),
    Column("created_at", Double, nullable=False),
    # Steps that may run at once, and exports that may wait for their first; null: the default.
    Column("step_cap", Integer),
    Column("pending_quota", Integer),
    # Steps that workers hold, counted in the transactions that claim and end them, and when
    # one was claimed last: organizations take turns by these.
    Column("running_steps", Integer, nullable=False, server_default="0"),
    Column("claimed_at", Double, nullable=False, server_default="0"),
    Index("ix_organizations_turn", "running_steps", "claimed_at"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False, index=True),
    Column("role", String(10), nullable=False),
    # The first characters, to tell keys apart in a list.
    Column("prefix", String(12), nullable=False),
    Column("key_hash", String(64), nullable=False, unique=True),
    Column("created_at", Double, nullable=False),
    # It is taken until then; null: for ever.
    Column("expires_at", Double),
)

datasets = Table(
    "datasets",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("name", String(100), nullable=False),
    Column("slug", String(100), nullable=False),
    Column("classes", JSON, nullable=False),
    # The last numbers given to an image and to an annotation.
    Column("image_number", BigInteger, nullable=False, server_default="0"),
    Column("annotation_number", BigInteger, nullable=False, server_default="0"),
    Column("created_at", Double, nullable=False),
    # What it was called until it was deleted, when its name became free; null: it is not.
    Column("deleted_name", String(100)),
    UniqueConstraint("organization_id", "name"),
    Index("ix_datasets_organization_id_slug", "organization_id", "slug"),
    Index(
        "ix_datasets_deleted",
        "deleted_name",
        postgresql_where=text("deleted_name IS NOT NULL"),
        sqlite_where=text("deleted_name IS NOT NULL"),
    ),
)

images = Table(
    "images",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("dataset_id", ForeignKey("datasets.id"), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("path", _Path, nullable=False),
    # What must be unique in an archive: the safe path in folded case, without its ending.
    Column("name_key", _Path, nullable=False),
    # An image with a smaller path has the same key, or another lies in a folder of this name.
    Column("collides", Boolean, nullable=False),
    Column("class_set_number", BigInteger, nullable=False),
    Column("status", String(10), nullable=False),
    Column("split", String(5)),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("object_key", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("crc32", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("first_annotation_number", BigInteger, nullable=False),
    Column("annotation_count", Integer, nullable=False),
    Column("annotations", LargeBinary, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    # Of the annotations as they came in: which way they were completed, and their SHA-256; null:
    # an older version took them.
    Column("source_sum", LargeBinary),
    UniqueConstraint("dataset_id", "path"),
    Index("ix_images_dataset_id_name_key_path", "dataset_id", "name_key", "path"),
    Index("ix_images_dataset_id_status_path", "dataset_id", "status", "path"),
    # Who needs an object of the images bucket.
    Index("ix_images_sha256", "sha256"),
)

# Which classes the annotations of an image have, as sets that many images share: filters ask
# for the few sets, not for each image.
class_sets = Table(
    "class_sets",
    metadata,
    Column("dataset_id", ForeignKey("datasets.id"), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    # SHA-256 of the class ids.
    Column("key", String(64), nullable=False),
    UniqueConstraint("dataset_id", "key"),
)

class_set_members = Table(
    "class_set_members",
    metadata,
    Column("dataset_id", ForeignKey("datasets.id"), primary_key=True),
    # Position in the dataset's class list, from 0.
    Column("class_id", Integer, primary_key=True),
    Column("class_set_number", BigInteger, primary_key=True),
    sqlite_with_rowid=False,
)

# What a dataset's images amount to, by status and classes, so that a preview's cost follows the
# number of different class sets and not that of the images. Written with the images.
image_totals = Table(
    "image_totals",
    metadata,
    Column("dataset_id", ForeignKey("datasets.id"), primary_key=True),
    Column("status", String(10), primary_key=True),
    Column("class_set_number", BigInteger, primary_key=True),
    Column("image_count", BigInteger, nullable=False),
    # Images that archives hold under another name, and those in folders that keep theirs.
    Column("renamed_count", BigInteger, nullable=False),
    Column("foldered_count", BigInteger, nullable=False),
    Column("annotation_count", BigInteger, nullable=False),
    # Bytes of image files, of annotations, and of UTF-8 paths.
    Column("image_bytes", BigInteger, nullable=False),
    Column("annotation_bytes", BigInteger, nullable=False),
    Column("path_bytes", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# The same of its annotations, by status, class and shape.
annotation_totals = Table(
    "annotation_totals",
    metadata,
    Column("dataset_id", ForeignKey("datasets.id"), primary_key=True),
    Column("status", String(10), primary_key=True),
    Column("class_id", Integer, primary_key=True),
    Column("shape", String(16), primary_key=True),
    Column("annotation_count", BigInteger, nullable=False),
    # Those that reach over the edge of their image, and those with nothing left on it.
    Column("over_count", BigInteger, nullable=False),
    Column("off_count", BigInteger, nullable=False),
    # Their rings, where they are polygons.
    Column("part_count", BigInteger, nullable=False),
)

# The bytes an organization has stored, by content. An object of Cartouche's own is found by this
# row alone: once it is gone, nobody refers to the object any more, and its key never comes again.
contents = Table(
    "contents",
    metadata,
    Column("organization_id", ForeignKey("organizations.id"), primary_key=True),
    Column("sha256", String(64), primary_key=True),
    Column("object_key", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("crc32", BigInteger, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    # Which version of the measure gave the size; 0: the bytes are asked for at the next import.
    Column("measure", Integer, nullable=False, server_default="0"),
    # When somebody began to store the same bytes under this key once more.
    Column("pinned_at", Double),
)

# Objects of Cartouche's own in the images bucket that an image has ceased to use: whether others
# need them is looked up before they are removed.
released_objects = Table(
    "released_objects",
    metadata,
    Column("object_key", Text, primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("sha256", String(64), nullable=False),
    # released; seen; condemned: nobody needs it, nobody can find it, and it is being removed.
    Column("state", String(9), nullable=False),
    # By then the release was committed: a later snapshot does not hold the object.
    Column("seen_at", Double),
    Index("ix_released_objects_state", "state", "organization_id", "seen_at"),
)

exports = Table(
    "exports",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("dataset_id", ForeignKey("datasets.id"), nullable=False),
    Column("name", String(100), nullable=False),
    Column("format", String(20), nullable=False),
    Column("include_images", Boolean, nullable=False),
    Column("class_filter", JSON, nullable=False),
    Column("status_filter", String(10), nullable=False),
    Column("include_unannotated", Boolean, nullable=False),
    Column("organize_by_split", Boolean, nullable=False),
    Column("status", String(10), nullable=False),
    Column("error_message", Text, nullable=False, server_default=""),
    # What comes next: plan, build, finish; done when the export has ended.
    Column("stage", String(10), nullable=False),
    # Counts every change that a watcher should see.
    Column("version", Integer, nullable=False, server_default="0"),
    Column("upload_id", Text),
    # What the plan froze beside the segments: classes, totals.
    Column("snapshot", JSON),
    Column("segment_count", Integer, nullable=False, server_default="0"),
    Column("segments_done", Integer, nullable=False, server_default="0"),
    Column("work_total", BigInteger, nullable=False, server_default="0"),
    Column("work_done", BigInteger, nullable=False, server_default="0"),
    Column("image_count", BigInteger),
    Column("annotation_count", BigInteger),
    Column("file_size", BigInteger),
    Column("crc32", BigInteger),
    Column("sha256", String(64)),
    Column("warnings", JSON),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("completed_at", Double),
    Column("expires_at", Double),
    # Work objects lie in the store that an ended export no longer needs.
    Column("staged", Boolean, nullable=False, server_default=false()),
    # Deleted exports stay until their objects were removed twice.
    Column("deleted", Boolean, nullable=False, server_default=false()),
    # Its steps are claimed in this lane: short or long, by the bytes that its selection had.
    Column("lane", String(5), nullable=False, server_default="long"),
    Column("estimated_bytes", BigInteger, nullable=False, server_default="0"),
    # Of the request that made it: the log lines of its work carry it.
    Column("request_id", String(128), nullable=False, server_default=""),
    # Why it failed, for programs: one of ErrorCode.
    Column("error_code", String(30), nullable=False, server_default=""),
    # Its deadline counts from here: when it was created, or taken up again last.
    Column("queued_at", Double),
    # When its plan was begun last: until it has ended it may need what its images were then.
    Column("snapshot_at", Double),
    # The trace that its work belongs to, as that request named it.
    Column("traceparent", String(55), nullable=False, server_default=""),
    # The layout of its archive, where that was built in parts; and how many archives in a row
    # were copied from one another to it, of which the first was built as a whole.
    Column("layout_version", Integer),
    Column("generation", Integer, nullable=False, server_default="0"),
    # Whoever wants to hear that it expires soon was told.
    Column("expiry_told", Boolean, nullable=False, server_default=false()),
    # An address of its own that is told of its end; empty: none.
    Column("callback_url", Text, nullable=False, server_default=""),
    # How often a part of its work was tried again since then (queued_at); of the last time: why
    # (one of Setback), when it was given up, and when it goes on.
    Column("setbacks", Integer, nullable=False, server_default="0"),
    Column("setback", String(30), nullable=False, server_default=""),
    Column("setback_at", Double),
    Column("goes_on_at", Double),
    Index(
        "uq_exports_dataset_id_name",
        "dataset_id",
        "name",
        unique=True,
        postgresql_where=text("NOT deleted"),
        sqlite_where=text("NOT deleted"),
    ),
    Index("ix_exports_organization_id_created_at", "organization_id", "created_at", "id"),
    # No index on a column that every segment changes: its updates stay on the row's page.
    Index(
        "ix_exports_unfinished",
        "queued_at",
        postgresql_where=text("stage <> 'done' AND NOT deleted"),
        sqlite_where=text("stage <> 'done' AND deleted = 0"),
    ),
    Index(
        "ix_exports_pending",
        "organization_id",
        postgresql_where=text("status = 'pending' AND NOT deleted"),
        sqlite_where=text("status = 'pending' AND deleted = 0"),
    ),
    Index("ix_exports_expires_at", "expires_at"),
    Index("ix_exports_dataset_id", "dataset_id"),
)

# The one place to claim work from. Number 0 is the export's own: its plan, its finish, and the
# removal of what it left; the others are its segments, by the number of their part.
steps = Table(
    "steps",
    metadata,
    Column("export_id", ForeignKey("exports.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    # plan, segment, finish or remove.
    Column("kind", String(7), nullable=False),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("lane", String(5), nullable=False),
    # When it may be claimed; while it is held, the end of the lease; null: it waits for others,
    # or is done.
    Column("due_at", Double),
    Column("held", Boolean, nullable=False, server_default=false()),
    # Fencing: every claim raises it, and every result carries it.
    Column("attempt", Integer, nullable=False, server_default="0"),
    # Processes that died while it ran alone, and passing failures.
    Column("lost", Integer, nullable=False, server_default="0"),
    Column("failures", Integer, nullable=False, server_default="0"),
    # Of a segment. Known bytes of its part: headers and stored images.
    Column("manifest_key", Text, nullable=False, server_default=""),
    Column("size", BigInteger, nullable=False, server_default="0"),
    # Weight for progress, in bytes.
    Column("work", BigInteger, nullable=False, server_default="0"),
    # A segment is built; what a deleted export left was removed, and will be once more.
    Column("done", Boolean, nullable=False, server_default=false()),
    # What the builder made: its part, what it staged, sums, counts, losses.
    Column("result", JSON),
    # Errors of our own.
    Column("errors", Integer, nullable=False, server_default="0"),
    # Its worker died, together with whatever else it held: from then on it runs alone.
    Column("alone", Boolean, nullable=False, server_default=false()),
    # Whoever claims it must know at least this version of the work (WORK_VERSION).
    Column("version", Integer, nullable=False, server_default="1"),
    # Workers that vanished with it one after the other while it ran alone, and are not yet counted
    # as a death.
    Column("vanished", Integer, nullable=False, server_default="0"),
    # Of a segment: where the same bytes lie in an earlier archive, which may be gone.
    Column("source", JSON(none_as_null=True)),
    Index(
        "ix_steps_waiting",
        "organization_id",
        "lane",
        "due_at",
        "export_id",
        "number",
        postgresql_where=text("NOT held AND due_at IS NOT NULL"),
        sqlite_where=text("held = 0 AND due_at IS NOT NULL"),
    ),
    Index(
        "ix_steps_held",
        "organization_id",
        "due_at",
        postgresql_where=text("held"),
        sqlite_where=text("held = 1"),
    ),
)

# The first answer to a request that carried an idempotency key.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("organization_id", ForeignKey("organizations.id"), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("request_hash", String(64), nullable=False),
    Column("export_id", String(36), nullable=False),
    # The answer as it was sent, so that a replay is the same even after a change.
    Column("response", LargeBinary, nullable=False),
    Column("created_at", Double, nullable=False),
    Index("ix_idempotency_keys_created_at", "created_at"),
)

# One row a singleton job: who holds it, and until when.
leases = Table(
    "leases",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("lease_until", Double, nullable=False),
)

# One row: the oldest schema whose code works on this one, as its newest migration says.
compatibility = Table(
    "compatibility",
    metadata,
    Column("oldest_schema", String(32), primary_key=True),
)

# Addresses of organizations that are told what happens to exports.
webhooks = Table(
    "webhooks",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("url", Text, nullable=False),
    # What is told; empty: everything.
    Column("events", JSON, nullable=False),
    Column("description", String(200), nullable=False, server_default=""),
    # What messages are signed with, and what they were signed with until then.
    Column("secret", String(100), nullable=False),
    Column("previous_secret", String(100)),
    Column("previous_until", Double),
    Column("enabled", Boolean, nullable=False, server_default=true()),
    Column("disabled_reason", Text, nullable=False, server_default=""),
    Column("created_at", Double, nullable=False),
    # Since when every attempt has failed.
    Column("failing_since", Double),
    # An address that an export named for itself, there while there are messages to it. Its secret
    # is the organization's, and it was created when it was used last.
    Column("is_callback", Boolean, nullable=False, server_default=false()),
    Index("ix_webhooks_organization_id", "organization_id"),
    Index(
        "ix_webhooks_registered",
        "organization_id",
        postgresql_where=text("NOT is_callback"),
        sqlite_where=text("is_callback = 0"),
    ),
)

# What the callbacks of an organization are signed with, as of a webhook.
callback_secrets = Table(
    "callback_secrets",
    metadata,
    Column("organization_id", ForeignKey("organizations.id"), primary_key=True),
    Column("secret", String(100), nullable=False),
    Column("previous_secret", String(100)),
    Column("previous_until", Double),
)

# The outbox: written in the transaction of the change that a message tells of.
webhook_messages = Table(
    "webhook_messages",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("webhook_id", ForeignKey("webhooks.id"), nullable=False),
    Column("event", String(30), nullable=False),
    # The body as it is sent and signed.
    Column("payload", Text, nullable=False),
    # pending, delivered or failed.
    Column("status", String(10), nullable=False),
    Column("created_at", Double, nullable=False),
    # When it is tried next; null: never.
    Column("due_at", Double),
    # Attempts since it was written, or sent again on request.
    Column("tries", Integer, nullable=False, server_default="0"),
    # Who claimed it may send it alone until then.
    Column("leased_until", Double),
    # Fencing: every claim raises it.
    Column("attempt", Integer, nullable=False, server_default="0"),
    Index("ix_webhook_messages_webhook_id", "webhook_id", "created_at"),
    Index(
        "ix_webhook_messages_due",
        "due_at",
        postgresql_where=text("status = 'pending'"),
        sqlite_where=text("status = 'pending'"),
    ),
)

webhook_attempts = Table(
    "webhook_attempts",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("message_id", ForeignKey("webhook_messages.id"), nullable=False),
    Column("at", Double, nullable=False),
    # 0: there was no answer.
    Column("http_status", Integer, nullable=False),
    # Why it did not count; empty: it did.
    Column("error", Text, nullable=False),
    Column("milliseconds", Integer, nullable=False),
    Index("ix_webhook_attempts_message_id", "message_id"),
)
