"""What the papers do alike and several datasets share: preprocessing, the five points of a face, and the unit of its size."""

from __future__ import annotations

from dataclasses import replace

from lmbench.geometry.framing import Framing, Preprocessing

FIVE_POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
FIVE_POINT_SWAPS = ((0, 1), (3, 4))
TEST_CROPS = Framing(kind="whole", of="a loose crop of one face")
FACE = (
    "RMS distance of eyes, nose and mouth corners from their mean"  # the unit of object_size, in fractions of a frame
)
PAPERS_FACES = Preprocessing(resize=136, crop=20)  # DVE, CL, LEAD: resize 136, centre crop 96
PAPERS_BIRDS = Preprocessing(resize=96)  # Cheng et al. 2021, sec. 4.1: resized to 96x96 without any cropping
PAPERS_BODIES = Preprocessing(resize=128)  # Jakab et al. 2018 and Rahaman et al. 2021: loose crops at 128x128
OWN_CROPS = replace(PAPERS_FACES, centres="kept")  # their frames are enlarged as often as reduced, and by all factors
