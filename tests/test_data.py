"""Any folder of images becomes a checked set: formats, archives, datasets, subsets, labels, bad files."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from PIL import Image

from minegan_zoo import data, picture_files
from minegan_zoo.contracts import ImageSpec, MineganError
from minegan_zoo.data import load_images
from minegan_zoo.pixels import to_float, to_uint8

RGB8, GREY8 = ImageSpec(3, 8), ImageSpec(1, 8)


def encoded(image: Image.Image, kind: str = "PNG", options: Mapping[str, Any] | None = None) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **(options or {}))
    return stream.getvalue()


def random_image(seed: int = 0, size: tuple[int, int] = (8, 8), mode: str = "RGB") -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return Image.fromarray(noise).convert(mode)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three classes of four images, nested one level."""
    for i, name in enumerate(("bag", "boot", "coat")):
        (tmp_path / "images" / name).mkdir(parents=True)
        for k in range(4):
            random_image(10 * i + k).save(tmp_path / "images" / name / f"{k}.png")
    return tmp_path / "images"


# Floats


def test_to_float_and_back_is_exact() -> None:
    every = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(to_float(every)), every)
    assert to_float(every).dtype == torch.float32
    assert to_float(every)[[0, 255]].tolist() == [-1.0, 1.0]
    assert to_uint8(torch.tensor([-3.0, 0.0, 7.0])).tolist() == [0, 128, 255]


# Formats


@pytest.mark.parametrize(
    ("suffix", "kind", "mode", "tolerance"),
    [
        ("png", "PNG", "RGB", 0),
        ("png", "PNG", "L", 0),
        ("png", "PNG", "1", 0),
        ("png", "PNG", "LA", 0),
        ("bmp", "BMP", "RGB", 0),
        ("tiff", "TIFF", "RGB", 0),
        ("TIF", "TIFF", "CMYK", 2),
        ("jpg", "JPEG", "RGB", 12),
        ("jpeg", "JPEG", "CMYK", 12),
        ("webp", "WEBP", "RGB", 12),
    ],
)
def test_formats_keep_their_pixels(tmp_path: Path, suffix: str, kind: str, mode: str, tolerance: int) -> None:
    y, x = np.mgrid[:8, :8].astype(np.uint8) * 30
    smooth = Image.fromarray(np.stack([x, y, 240 - x], 2))
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    (tmp_path / f"a.{suffix}").write_bytes(encoded(smooth.convert(mode), kind, options))
    found = load_images(tmp_path, RGB8)
    wanted = torch.from_numpy(np.array(smooth.convert(mode).convert("RGB"))).permute(2, 0, 1).int()
    assert found.skipped == () and found.images.dtype == torch.uint8
    assert (found.images[0].int() - wanted).abs().max() <= tolerance


def test_palette_with_transparency_and_alpha_go_on_white(tmp_path: Path) -> None:
    layer = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    layer.paste((0, 0, 255, 255), (0, 0, 8, 4))
    layer.paste((0, 0, 0, 128), (0, 4, 4, 8))
    layer.save(tmp_path / "alpha.png")
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.paste(1, (0, 0, 8, 4))
    palette.save(tmp_path / "palette.png", transparency=0)
    alpha, indexed = load_images(tmp_path, RGB8).images
    assert alpha[:, 0, 0].tolist() == indexed[:, 0, 0].tolist() == [0, 0, 255]
    assert alpha[:, 7, 7].tolist() == indexed[:, 7, 7].tolist() == [255, 255, 255]
    assert alpha[:, 7, 0].tolist() == [127, 127, 127]


def test_sixteen_bit_is_scaled_not_clipped(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 65535, 8).astype(np.uint16), (8, 1))
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    assert load_images(tmp_path, GREY8).images[0, 0, 0].tolist() == [round(v / 257) for v in ramp[0].tolist()]


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    image = Image.new("L", (8, 8))
    image.paste(255, (0, 0, 8, 4))  # bright top
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    image.save(tmp_path / "turned.jpg", exif=exif, quality=100)
    pixels = load_images(tmp_path, GREY8).images[0, 0]
    assert pixels[:, 4:].min() > 200 and pixels[:, :4].max() < 50  # bright right


def test_other_sizes_are_centre_cropped_and_antialiased(tmp_path: Path) -> None:
    wide = Image.new("RGB", (64, 32), "red")
    wide.paste("lime", (16, 0, 48, 32))
    wide.save(tmp_path / "wide.png")
    checker = Image.fromarray(np.indices((64, 64)).sum(0).astype(np.uint8) % 2 * 255)
    checker.save(tmp_path / "checker.png")
    fine, centre = load_images(tmp_path, RGB8).images
    assert centre[0].max() == 0 and centre[1].min() == 255
    assert (fine.int() - 128).abs().max() < 8  # an aliased one would be black or white


def test_large_jpegs_are_decoded_small_but_alike(tmp_path: Path) -> None:
    y, x = np.mgrid[:512, :512]
    waves = np.uint8(127 + 60 * np.sin(x / 40) + 60 * np.cos(y / 50))
    Image.fromarray(waves).save(tmp_path / "a.jpg", quality=95)
    Image.fromarray(waves).save(tmp_path / "a.png")
    jpeg, png = load_images(tmp_path, ImageSpec(1, 16)).images.int()
    assert (jpeg - png).abs().max() <= 4


# Folders


def test_nested_folder_in_sorted_order_without_hidden_or_other_files(folder: Path) -> None:
    (folder / ".cache").mkdir()
    random_image().save(folder / ".cache" / "a.png")
    random_image().save(folder / ".hidden.png")
    (folder / "notes.txt").write_text("not an image")
    found = load_images(folder, RGB8)
    assert found.names == tuple(f"{name}/{k}.png" for name in ("bag", "boot", "coat") for k in range(4))
    assert found.labels is None and found.class_names == () and found.skipped == ()
    assert found.digest == hashlib.sha256(found.images.numpy().tobytes()).hexdigest()
    assert found.origin == "images" and found.image == RGB8 and len(found) == 12
    assert torch.equal(found.images[5], torch.from_numpy(np.array(random_image(11))).permute(2, 0, 1))


def test_one_class_per_sub_folder(folder: Path) -> None:
    random_image().save(folder / "loose.png")
    found = load_images(folder, RGB8, labels=True)
    assert found.class_names == ("bag", "boot", "coat")
    assert found.labels is not None and found.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert [file.name for file in found.skipped] == ["loose.png"]
    with pytest.raises(MineganError, match="a folder of its own"):
        load_images(folder / "bag", RGB8, labels=True)


def test_subset_is_seeded_nested_and_independent_of_other_files(folder: Path) -> None:
    five = load_images(folder, RGB8, limit=5, seed=1)
    assert five.names == load_images(folder, RGB8, limit=5, seed=1).names == tuple(sorted(five.names))
    assert set(five.names) < set(load_images(folder, RGB8, limit=8, seed=1).names)
    assert five.names != load_images(folder, RGB8, limit=5, seed=2).names
    ranks = sorted(load_images(folder, RGB8).names, key=lambda name: hashlib.sha256(f"1/{name}".encode()).digest())
    assert five.names == tuple(sorted(ranks[:5]))
    assert len(load_images(folder, RGB8, limit=99)) == 12


# Bad input


def png_with_size(width: int, height: int) -> bytes:
    """A small PNG whose header claims another size."""
    content = bytearray(encoded(random_image()))
    content[16:24] = struct.pack(">II", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    return bytes(content)


def test_bad_images_are_skipped_named_and_replaced(folder: Path) -> None:
    whole = encoded(random_image(size=(64, 64)))
    (folder / "bag" / "bomb.png").write_bytes(png_with_size(12000, 12000))
    (folder / "bag" / "bomb2.png").write_bytes(png_with_size(60000, 60000))
    (folder / "bag" / "empty.jpg").touch()
    (folder / "bag" / "text.png").write_text("hello")
    (folder / "bag" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "bag" / "range.tiff").write_bytes(encoded(Image.new("F", (8, 8), 0.5), "TIFF"))
    found = load_images(folder, RGB8)
    assert len(found) == 12
    assert [file.name for file in found.skipped] == [
        f"bag/{n}" for n in ("bomb.png", "bomb2.png", "cut.png", "empty.jpg", "range.tiff", "text.png")
    ]
    reasons = {file.name: file.reason for file in found.skipped}
    assert "decompression bomb" in reasons["bag/bomb.png"] and "decompression bomb" in reasons["bag/bomb2.png"]
    assert "no image" in reasons["bag/text.png"] and "truncated" in reasons["bag/cut.png"]
    assert len(load_images(folder, RGB8, limit=12)) == 12  # bad ones do not eat into the subset


def test_files_that_are_too_large_are_skipped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_files, "MAX_FILE_BYTES", 1000)
    (folder / "big.png").write_bytes(encoded(random_image(size=(64, 64))))
    assert [file.name for file in load_images(folder, RGB8).skipped] == ["big.png"]


def test_nothing_to_read_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MineganError, match="does not exist: give a folder"):
        load_images(tmp_path / "absent", RGB8)
    with pytest.raises(MineganError, match=f"no images in {tmp_path}: it is empty"):
        load_images(tmp_path, RGB8)
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(MineganError, match=r"it holds \.txt; give"):
        load_images(tmp_path, RGB8)
    (tmp_path / "a.png").write_text("text")
    with pytest.raises(MineganError, match=rf"no readable image in {tmp_path}: 1 skipped \(a\.png: no image"):
        load_images(tmp_path, RGB8)
    with pytest.raises(MineganError, match="not a folder"):
        load_images(tmp_path / "a.txt", RGB8)
    with pytest.raises(MineganError, match="limit must be at least 1"):
        load_images(tmp_path, RGB8, limit=0)


# Archives


@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz", "tar.xz"])
def test_archives_equal_their_folder(folder: Path, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"pack.{suffix}"
    if suffix == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            for file in folder.rglob("*.png"):
                packed.write(file, file.relative_to(tmp_path))
    else:
        modes: dict[str, Literal["w:", "w:gz", "w:xz"]] = {"tar": "w:", "tar.gz": "w:gz", "tar.xz": "w:xz"}
        with tarfile.open(path, modes[suffix]) as packed_tar:
            packed_tar.add(folder, "images")
    found, plain = load_images(path, RGB8, labels=True), load_images(folder, RGB8, labels=True)
    assert found.digest == plain.digest and found.class_names == plain.class_names
    assert found.names == tuple(f"images/{name}" for name in plain.names)


def test_archive_members_cannot_escape(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("../../evil.png", encoded(random_image()))
        packed.writestr("/root.png", encoded(random_image()))
        packed.writestr("__MACOSX/._good.png", b"resource fork")
        packed.writestr("good.png", encoded(random_image()))
    found = load_images(tmp_path / "a.zip", RGB8)
    assert found.names == ("good.png",)
    assert {file.name: file.reason for file in found.skipped} == {
        "../../evil.png": "its path leads out of the archive",
        "/root.png": "its path leads out of the archive",
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip"]


def test_archive_bombs_and_broken_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK nothing")
    with pytest.raises(MineganError, match=r"a\.zip cannot be read"):
        load_images(tmp_path / "a.zip", RGB8)
    (tmp_path / "b.tgz").write_bytes(gzip.compress(bytes(2**22)))
    monkeypatch.setattr(picture_files, "MAX_TAR_BYTES", 2**20)
    with pytest.raises(MineganError, match="unpacks to more than"):
        load_images(tmp_path / "b.tgz", RGB8)


def test_reading_a_folder_keeps_few_full_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Full-size images that are open at once are bounded by the pool, not by the folder."""
    import threading

    for i in range(40):
        random_image(i).save(tmp_path / f"{i}.png")
    now, most, lock = 0, 0, threading.Lock()
    square = data._square

    def counted(plain: Image.Image, resolution: int) -> np.ndarray:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        small = square(plain, resolution)
        with lock:
            now -= 1
        return small

    monkeypatch.setattr(data, "_square", counted)
    assert len(load_images(tmp_path, RGB8)) == 40 and most <= 8
