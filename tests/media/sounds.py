"""Sound files for tests, made when they are needed."""

from __future__ import annotations

import array
import base64
import io
import math
import struct
import wave
import zlib

# One second of a tone: MPEG-2 layer III, 16 kHz, one channel, 16 kbit/s, without an Info frame.
_MP3 = """
eNqd1GtYU+cdAPDznsSEkJMQEoQjiCQQICDoPxBGSBFOjAbkJlcBZzEqosU5UdBSa9cT7ihVLLfjQE0t0kqto16mq+s4GFBQ
LCq66jOdkersOpkXtF4elXHg2Yd93fvx/fB7/vfxMU0vRvxUVYpySRSRHfFDxDCa03q2uDqierXg8dnSArKAtFguCWwPki9U
3+nvXfG6zuzf2OzNsmxf9V8wDMfL6jyvrOgYn3CEUtnRRtSmx4Txxh7rmHfrcOmIMrMRfb6dVrLpVt3cPznUOLVhBGKE9u4f
0w6dc9mWIBd0y/cKOoFP6YCgDMA5IhdLig7dxpAP2wWu1DeQiE5qVZLdYVFXXmgLTWbomB8A2dbNkGSN8pQBewbNZKWYJDXo
+Le/vbkUoUsWiuQcgbR0SQj2/KlaTw9UUf7kucob7Qf43tEmK3OC3U5GKEsYhW0LQ9D7SXcb4akfQeJQR+35kOX3b4xfA+A1
8FJTpvL6MmXC+UUNZuGYsOguPFWFz209EynOXA735+shmK4FFzYetPR3UEdJDJ9atIVRuusnRsUfdSfI6Dt0jh8z5WjSJx0v
vqqc+Yj5wPVy887AVm3hQXLTimQmCNtLkmweOcuxkq74zHDHsXFrvO75iM8Xl8ez4DfOwCKe29nJ+hCWJTrs4RN1AtbRXBVn
n7eGz66fxl9K+juiGJEjrZJ+AK6YNEw7AzE9mRHQ3QckXowgBtwEDXhRLyybOcw5colTuo6Lx+0VhKenHYJVPa/4aL562gfW
fNxJE31sF1/unTsUsq8vudPEwx7NmKiJXQBWuKIwadyHI/oSr072i5Q4pegn6uw/YHwfKOws+GA7QUUdQvxXmwn3NzWxj7dv
670GOgHkiOCwXBuvDRus059uigiqWgCH6XIIoiScM4uIT6Am8vIHnE0DIVWDcEtRcMv3g51HKjqBwGUaH4JXWhNeh52rY1ce
JKa1Nw7ybdV1gvrwJGG9SxKhRALOCZTAVF7lY4EBGlVay9G4kEPdnWaZbDozA+sp1/gyhdM+a1xK/P7Jj7vJ1RMjMAtLJMWs
kRQ5Mhl3Fmu76Mc5oYQjJRp7/sT/b1ZFY8azpaBAfoj2htk8P75jNXwl46n6XkY4O+dDBxKBL+vujP3OEmTlW2owbJOoZeCI
/ep3nKOTaBKiuTnMwrB+diYpKF9krc8no3fu2dFHzuhyusrMQwRJOooZV5ueISkQC9s22nztO+bd3XEheD3it5+5xDmG/+ZF
todleulOZcb4j+oDTRYtybbCYnofeGKHgWAfgwKTAKimHTAWu/3ycDN4IDuyzJ344PFYzqGIrqn5aYVaD95Mp0SdeedKqLHu
AgWbD2LaA1RsPk8g+7CqWprXpRt91aREY4hOgWRRuMjqpo0KDI/inHhJasJk30PX6qe3hGuVZQ5YbVwHBuqfsIB+DQcoQbT8
kesB3nW/nW/Ts+2jr2IOQgga5he5wybUQKSGaWs4J9lFuUTD5SUqjj/ON2w+J9YWsHlgocvAg74CCEXCbMorYmNZWVbunV3Z
Jz/sXjOeFQyhfBOOrQMfZzveMxlPogs5te+wJmSVx67V4ec9bbCe5woiJIdAWglxrBmJbduMqgETezj3ScvFq7eH3sSOj/8M
QkzBo8Jg/eT8LHJhp+IZIyzXtZ/4KOIL2wxxn/5aW4jnQYkxF/RGEeitFHxMuUW5hUsFC7cUjXY3h56+DEo0jD9SQjyPcxZK
T6VPOhlOsgKtkywjrNk30pLwB3jBvoVoDAOc3gpyegjMlCSqU+x7ev+NVEMnTOdhVEgNnsMmLRyUTToSxqzj6lzrsMetT9rU
9G9C3nV0UEzH1TmzXoSsSBpfqVHUBcSaBdV44r3SyB/kuB8Pw+FdvNjZkqfNkB6LmcxLcmrq/lR66p853dJGIgMsY2+Dmh2C
mUgKBlY276Uz//gtp7YDfSe3NoEcZaCiWaDmNfCLiqDNtdhny2S/pLJ0mNgL9Vrd8QuBsKdHDd50KCA2DDyw9xF/X0m8x8IW
0x9PncCsSjfFoKgMekqMg2GinIHFhotpTc3E3C7OWSxRTu3F10lySwpBKIPrZDLNGf6td6xKe8nagoe9sSl+L4feHoS5iIL0
T5z2VKfyyfvW3M7U7FkSimEu00mckyW1TN1n8h3bBkahrGCE2CkSt7hOX9cUF/iv/LJ77pqXz984g+fEFaw3gFKQwev6M1R4
HfO68b1uwWUEVUbOWSLN4fr+VO0AKVYLrqwAguhVSGjeqLLaO1/e251TDQQyITpEyEcVpZXMsYao9tnl+4f/vru+6Dz5Df9x
OcY52ZLSBG5P/fPJOB61IoaZjavoS7gyTPzxyLPRZ+9R/X/tt1R1+CpX9H8BbkPnxtKIq4r0oC9fB+xV5N4feWDZjlk4Z5mk
awmF8jAs8vVA8U33GlPsi/ZWl1rP95a/fbzoVzCSWVxys/6nYHze84D6zP4S3vg/TDa3Sip2vL+SUs+3yYMDlO9yjsVjhm8b
aqUw7K5XR/KcTQ3N2m/nBCT26n9OM1f0Him4ldf3tTO+Nu1S1ciGsmtJxuSFujmQ9b+Pc2JE/Vsz0RCJsv7/9x+pyzwQ
"""


def wav(
    seconds: float = 1.0, rate: int = 8000, channels: int = 1, *, pitch: float = 440.0
) -> bytes:
    """A tone as 16-bit WAV."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        step = 2 * math.pi * pitch / rate
        tone = array.array("h")
        for number in range(int(seconds * rate)):
            tone.extend([int(8000 * math.sin(number * step))] * channels)
        writer.writeframes(tone.tobytes())
    return file.getvalue()


def mp3() -> bytes:
    """A tone as MP3."""
    return zlib.decompress(base64.b64decode(_MP3))


def mp3_announcing(frames: int) -> bytes:
    """The same behind a first frame that announces this many."""
    sound = mp3()
    # The header of the first frame, an empty side information, and LAME's mark.
    first = sound[:4] + bytes(9) + b"Info" + struct.pack(">II", 1, frames)
    return first.ljust(_frame_bytes(sound), b"\0") + sound


def _frame_bytes(sound: bytes) -> int:
    """The length of the first frame (ISO 13818-3: 72 bits for each bit rate and sample rate)."""
    kilobits = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)[sound[2] >> 4]
    rate = (22050, 24000, 16000)[sound[2] >> 2 & 3]
    return 72 * kilobits * 1000 // rate + (sound[2] >> 1 & 1)
