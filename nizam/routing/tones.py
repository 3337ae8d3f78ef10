"""Tones that say how something ended, where there is no voice to say it."""

from __future__ import annotations

from typing import Literal

Result = Literal["on", "off", "done", "failed"]

TONES: dict[Result, str] = {
    "on": "tone_stream://%(150,50,500);%(150,50,700);%(400,0,1000)",
    "off": "tone_stream://%(150,50,1000);%(150,50,700);%(400,0,500)",
    "done": "tone_stream://%(200,100,800);%(200,0,800)",
    "failed": "tone_stream://%(250,250,480);loops=4",
}
"""Rising for what is on now, falling for what is off, two short ones for what is done, and four
short low ones for what could not be done."""

NAMES = {tone: name for name, tone in TONES.items()}
"""The other way round."""
