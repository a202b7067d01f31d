"""Turn the bytes of any picture into RGB."""

import io

import numpy as np
from PIL import Image, ImageOps

from deepid_lite.errors import DataError

# only plain raster formats: PIL would hand an EPS file, for instance, to Ghostscript
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
MAX_PIXELS = 50_000_000  # by the header, before a pixel is decoded


class BadImage(DataError):
    """One picture that cannot be used; its text, which a terminal can print, names the file."""

    def __init__(self, text):
        super().__init__(one_line(text))


def decode(data, name):
    """The bytes of one picture as uint8 (H, W, 3) RGB; a text in place of the bytes says why they cannot be had.

    Greyscale, palette, CMYK and 16-bit pictures are converted, transparency is laid on white, a rotation
    noted by the camera is carried out, and of an animation the first frame is taken. Raises BadImage,
    naming the file, for bytes that are no picture or cut short, and for more than 50 megapixels or 256 MiB.
    """
    if isinstance(data, str):
        raise BadImage(f"{name}: {data}")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise BadImage(
                    f"{name}: {width} x {height} pixels are more than {MAX_PIXELS // 10**6} megapixels; scale it down"
                )
            image.load()
            return _to_rgb(ImageOps.exif_transpose(image))
    except (BadImage, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadImage(f"{name}: more than {MAX_PIXELS // 10**6} megapixels; scale it down") from error
    except Image.UnidentifiedImageError as error:
        raise BadImage(f"{name}: no picture that Pillow can read; save it as JPEG or PNG") from error
    except Exception as error:  # decoders raise almost anything when bytes are broken
        raise BadImage(f"{name}: corrupt or truncated image ({reason_of(error)}); save it again") from error


def _to_rgb(image):
    if image.mode.startswith(("I", "F")):  # 16-bit grey or more; PIL's own conversion would clip it at 255
        values = np.asarray(image).astype(np.float64)
        top = 65535 if image.mode[0] == "I" else 1 if values.max() <= 1 else 255
        if not (values.min() >= 0 and values.max() <= top):  # NaN is neither
            raise ValueError(f"not all values are from 0 to {top}")
        grey = np.rint(values * (255 / top)).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB"))


def reason_of(error):
    return " ".join(str(error).split()) or type(error).__name__


def one_line(text):
    """The text with all that a terminal cannot print, line breaks among it, escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))
