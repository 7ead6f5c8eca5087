"""Version of the work on an export."""

#: Of an export's snapshot, its segment manifests and its results, and of the kinds of its steps. A
#: worker knows this one and all older ones, and writes for an export in the version with which its
#: plan froze it, so that workers of two versions share its steps. Raised when a worker of the
#: version before could not do what is asked.
WORK_VERSION = 2
#: The first version that has text rendered in segments apart from the parts of images; of 1, each
#: part renders the text of its images.
TEXT_APART = 2
