"""Names of the columns that quality databases use for images, scores and reference images."""

from __future__ import annotations

import re

#: Columns with the image's name, the most certain first; only letters and digits of the column names.
IMAGE = (
    "imgpath", "imagepath", "image", "imagename", "imgname", "img", "filename", "file", "name", "path", "distimg",
    "disimg", "disimgpath", "distimgpath", "distortedimage",
)  # fmt: skip
MOS = ("gtscore", "mos", "meanopinionscore", "mosscore", "score", "mosquality", "qualitymos")
#: Columns that name the image from which an image was made.
REFERENCE = (
    "ref", "refimg", "refimgpath", "refimgname", "refimage", "refimagepath", "refname", "refpath", "reference",
    "referenceimg", "referenceimage", "referenceimagepath", "referencename", "referencepath", "oriimg", "oriimgpath",
    "oriimage", "origimg", "origimage", "originalimg", "originalimage", "srcimg", "srcimage", "sourceimg",
    "sourceimage", "sourceimagepath", "pristineimg", "pristineimage",
)  # fmt: skip
#: Columns of reference images only if their cells are names of image files: a source may also be a website.
PERHAPS_REFERENCE = ("source", "src", "original", "ori", "orig", "pristine")
_IMAGE_NAME = re.compile(r"(?i)\.(png|jpe?g|bmp|tiff?|webp|gif|ppm|pgm|jp2|heic|avif)\Z")


def plain(column: str) -> str:
    """Return the letters and digits of a column's name, in lower case."""
    return re.sub(r"[^a-z0-9]", "", column.lower())


def is_image_name(text: str) -> bool:
    """Whether a text ends like the name of an image file."""
    return _IMAGE_NAME.search(text) is not None


def names_image(column: str) -> bool:
    """Whether a column of this name holds the images of a quality database."""
    return plain(column) in IMAGE


def names_mos(column: str) -> bool:
    """Whether a column of this name may hold a MOS or a DMOS."""
    return plain(column) in (*MOS, "dmos")
