#!/usr/bin/env python3
"""Synthesises the sound of the fixtures: plucks, chords, a bass, drums and two sweeping pilot tones.

Pure arithmetic on a seeded generator, so every run writes the same samples. Left and right differ
everywhere, nothing repeats, and the pilots (left rising, right falling) make every position distinct, so that
a decoder that is off by one sample or by one bar is found out.

usage: synth.py OUT.wav FRAMES [RATE [SEED]]
"""
import array, math, sys, wave

out, frames = sys.argv[1], int(sys.argv[2])
rate = int(sys.argv[3]) if len(sys.argv) > 3 else 44100
state = int(sys.argv[4]) if len(sys.argv) > 4 else 20240607


def rnd():
    """A float in [0, 1) from a 64-bit linear congruential generator."""
    global state
    state = (state * 6364136223846793005 + 1442695040888963407) & 0xFFFFFFFFFFFFFFFF
    return (state >> 33) / 2147483648.0


left = [0.0] * frames
right = [0.0] * frames


def mix(start, note, gain_l, gain_r):
    for i, value in enumerate(note[: max(0, frames - start)], start):
        left[i] += value * gain_l
        right[i] += value * gain_r


def tone(freq, seconds, partials, decay):
    """Decaying partials (two-pole resonators), with a 2 ms attack."""
    n = int(seconds * rate)
    note = [0.0] * n
    for k, gain in enumerate(partials, 1):
        f = freq * k * (1.0 + 0.0004 * k * k)
        if f > 0.4 * rate:
            break
        w = 2.0 * math.pi * f / rate
        r = math.exp(-decay * (0.6 + 0.4 * k) / rate)
        a, b = 2.0 * r * math.cos(w), -r * r
        y2, y1 = 0.0, gain * math.sin(w)
        for i in range(n):
            note[i] += y1
            y2, y1 = y1, a * y1 + b * y2
    attack, release = int(0.002 * rate), int(0.03 * rate)
    for i in range(min(attack, n)):
        note[i] *= i / attack
    for i in range(min(release, n)):
        note[n - 1 - i] *= i / release
    return note


def noise(seconds, decay, bright):
    n = int(seconds * rate)
    note, previous = [0.0] * n, 0.0
    for i in range(n):
        white = rnd() * 2.0 - 1.0
        note[i] = (white - bright * previous) * math.exp(-decay * i / rate)
        previous = white
    return note


def kick():
    n, phase = int(0.22 * rate), 0.0
    note = [0.0] * n
    for i in range(n):
        t = i / rate
        phase += 2.0 * math.pi * (45.0 + 110.0 * math.exp(-t * 30.0)) / rate
        note[i] = math.sin(phase) * math.exp(-t * 16.0)
    return note


scale = [0, 2, 3, 5, 7, 8, 10]
roots = [0, 5, 3, 7, -2, 8, 2, -4]
seconds = frames / rate
drum = kick()

bar, t = 0, 0.0
while t < seconds:
    root = 110.0 * 2.0 ** ((roots[bar % 8] + (bar // 8)) / 12.0)
    at = int(t * rate)
    for j, degree in enumerate((0, 2, 4)):
        f = 2.0 * root * 2.0 ** (scale[(degree + bar) % 7] / 12.0)
        mix(at + 37 * j, tone(f, 1.9, (1.0, 0.4, 0.2), 1.6), 0.055 + 0.02 * j, 0.095 - 0.02 * j)
    for beat in range(4):
        bt = at + int(beat * 0.5 * rate)
        mix(bt, tone(root / 2.0 * (1.5 if beat == 3 else 1.0), 0.45, (1.0, 0.5, 0.25), 4.0), 0.13, 0.12)
        if beat % 2 == 0:
            mix(bt, drum, 0.22, 0.20)
        else:
            mix(bt, noise(0.10, 42.0, 0.3), 0.07, 0.10)
        mix(bt + int(0.25 * rate), noise(0.03, 130.0, 0.95), 0.05, 0.03)
        for half in range(2):
            f = 4.0 * root * 2.0 ** ((scale[int(rnd() * 7)] + 12 * int(rnd() * 2)) / 12.0)
            pan = 0.15 + 0.7 * rnd()
            mix(bt + int((half * 0.25 + 0.004 * rnd()) * rate),
                tone(f, 0.5, (1.0, 0.5, 0.3, 0.15), 6.0), 0.15 * (1.0 - pan), 0.15 * pan)
    bar, t = bar + 1, t + 2.0

rise, fall, k = 0.0, 0.0, 1400.0 / max(seconds, 1.0)
for i in range(frames):
    t = i / rate
    rise += 2.0 * math.pi * (300.0 + k * t) / rate
    fall += 2.0 * math.pi * (2100.0 - k * t) / rate
    left[i] += 0.02 * math.sin(rise)
    right[i] += 0.02 * math.sin(fall)

pcm = array.array("h", bytes(4 * frames))
for i in range(frames):
    # 12 significant bits: the low bits would cost the lossless fixtures a megabyte and prove nothing.
    pcm[2 * i] = 16 * max(-2048, min(2047, round(left[i] * 1750.0)))
    pcm[2 * i + 1] = 16 * max(-2048, min(2047, round(right[i] * 1750.0)))
if sys.byteorder == "big":
    pcm.byteswap()
peak = max(max(pcm), -min(pcm))
with wave.open(out, "wb") as w:
    w.setnchannels(2)
    w.setsampwidth(2)
    w.setframerate(rate)
    w.writeframes(pcm.tobytes())
print(f"{out}: {frames} frames at {rate} Hz, peak {peak / 32768:.3f}", file=sys.stderr)
