"""Annotations of other programs: named, with the way to bring them here."""

from __future__ import annotations

from typing import Any

COCO = "export it as COCO keypoints"

UNREAD = {
    ".h5": "HDF5 is not read; DeepLabCut writes CollectedData_*.csv beside it (convert_h5_to_csv)",
    ".slp": f"a project of SLEAP; {COCO}",
    ".mat": "MATLAB's files are not read; write a table",
    ".pkl": "pickles are not read; write a table",
    ".xlsx": "Excel's files are not read; save it as CSV",
    ".ods": "spreadsheets are not read; save it as CSV",
    ".txt": "text files are not read (YOLO's hold parts of the image's size); export COCO keypoints, or write a table",
}
"""Files that are not opened, by suffix."""


def known_format(data: Any) -> str:
    """What a JSON file is that holds no COCO keypoints, ``""`` where its shape says nothing."""
    if isinstance(data, list):
        first = data[0] if data and isinstance(data[0], dict) else {}
        if {"annotations", "data"} & set(first) and {"result", "annotations", "predictions"} & set(first):
            return f"a file of Label Studio, whose points are percents; {COCO}"
        if {"image_id", "keypoints"} <= set(first):
            return "results in COCO's form (a list), not annotations: images and categories are missing in it"
        return ""
    keys = set(data) if isinstance(data, dict) else set()
    if {"shapes", "imagePath"} <= keys:
        return f"a file of labelme; {COCO} (labelme2coco)"
    if "_via_img_metadata" in keys or "_via_settings" in keys:
        return f"a project of VIA (VGG Image Annotator); {COCO}"
    if "people" in keys:
        return "an output of OpenPose: predictions, not annotations"
    if {"images", "annotations", "categories"} <= keys:
        return "a COCO file without keypoints: boxes or masks alone"
    return ""


def known_xml(root: str) -> str:
    """What an XML file is that is not imglab's, by the name of its outermost element."""
    return {
        "annotations": f"a file of CVAT; {COCO}",
        "annotation": "a file of Pascal VOC or LabelMe: boxes or polygons, without landmarks by name",
    }.get(root, "")


def known_table(header: list[str]) -> str:
    """What a table is that has no columns of landmarks, by its header."""
    words = {cell.strip().lower().lstrip("#") for cell in header}
    if {"region_shape_attributes", "filename"} <= words:
        return f"a table of VIA (VGG Image Annotator); {COCO}"
    if {"frame_idx", "instance.score"} <= words or "instance.score" in words:
        return "predictions of SLEAP, a frame a row, without images"
    if {"image_id", "label_name", "xmin"} <= words or {"filename", "class", "xmin", "ymax"} <= words:
        return "a table of boxes, without landmarks"
    return ""
