//! Planar to interleaved samples.
//!
//! Stereo `f32` is what nearly all audio is. A plain loop compiled for AVX2 is as fast as hand-written intrinsics, so the
//! loop is written once and compiled twice, and the choice is made at run time.

use std::mem::MaybeUninit;
use std::ops::Range;

use ::symphonia::core::audio::sample::Sample;
use ::symphonia::core::audio::{Audio, AudioBuffer};

/// Interleaves two planes into `out`, as many frames as the shortest of the three holds.
#[inline]
pub fn interleave_f32(left: &[f32], right: &[f32], out: &mut [f32]) {
    interleave_stereo(left, right, out, |sample| sample);
}

/// [`interleave_f32`] with nothing but the target's baseline instructions.
pub fn interleave_f32_scalar(left: &[f32], right: &[f32], out: &mut [f32]) {
    interleave_loop(left, right, out, |sample| sample);
}

/// Interleaves two planes, each sample made a `T`.
#[inline]
fn interleave_stereo<T>(left: &[f32], right: &[f32], out: &mut [T], slot: impl Fn(f32) -> T) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        #[allow(
            unsafe_code,
            reason = "calling a function compiled for AVX2 after the run-time check is unsafe by rule"
        )]
        // SAFETY: the processor has AVX2, which is all that the function asks for beyond safe code.
        unsafe {
            interleave_avx2(left, right, out, slot);
        }
        return;
    }
    interleave_loop(left, right, out, slot);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn interleave_avx2<T>(left: &[f32], right: &[f32], out: &mut [T], slot: impl Fn(f32) -> T) {
    interleave_loop(left, right, out, slot);
}

#[inline(always)]
fn interleave_loop<T>(left: &[f32], right: &[f32], out: &mut [T], slot: impl Fn(f32) -> T) {
    let (pairs, _) = out.as_chunks_mut::<2>();
    for ((pair, &l), &r) in pairs.iter_mut().zip(left).zip(right) {
        *pair = [slot(l), slot(r)];
    }
}

/// Appends `range` of two planes to `out`.
pub(super) fn append_stereo(left: &[f32], right: &[f32], range: Range<usize>, out: &mut Vec<f32>) {
    let (left, right) = (&left[range.clone()], &right[range]);
    append(2 * left.len(), out, |slots| {
        interleave_stereo(left, right, slots, MaybeUninit::new);
        2 * left.len().min(right.len())
    });
}

/// Appends `range` of any number of planes to `out`, converting each sample.
pub(super) fn append_planes<S: Sample>(
    buffer: &AudioBuffer<S>,
    range: Range<usize>,
    out: &mut Vec<f32>,
    convert: impl Fn(S) -> f32,
) {
    let channels = buffer.num_planes();
    append(range.len() * channels, out, |slots| {
        if let (2, Some(left), Some(right)) = (channels, buffer.plane(0), buffer.plane(1)) {
            let (pairs, _) = slots.as_chunks_mut::<2>();
            for ((pair, &l), &r) in pairs.iter_mut().zip(&left[range.clone()]).zip(&right[range.clone()]) {
                *pair = [MaybeUninit::new(convert(l)), MaybeUninit::new(convert(r))];
            }
            return 2 * range.len();
        }
        let mut done = 0;
        for (channel, plane) in buffer.iter_planes().take(channels).enumerate() {
            for (frame, &sample) in slots.chunks_exact_mut(channels).zip(&plane[range.clone()]) {
                frame[channel] = MaybeUninit::new(convert(sample));
            }
            done += range.len();
        }
        done
    });
}

/// Appends `count` samples that `fill` writes. Filling them with zeros first would cost half of what interleaving does.
///
/// `fill` answers how many slots it wrote, which must be all of them.
fn append(count: usize, out: &mut Vec<f32>, fill: impl FnOnce(&mut [MaybeUninit<f32>]) -> usize) {
    out.reserve(count);
    let written = fill(&mut out.spare_capacity_mut()[..count]);
    assert_eq!(written, count, "every sample is written");
    #[allow(unsafe_code, reason = "a vector is told of elements that were written behind its end")]
    // SAFETY: there is room for `count` elements behind the end, and `fill` has initialised each of them.
    unsafe {
        out.set_len(out.len() + count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_interleave_alike_at_every_length() {
        for frames in 0..70 {
            let left: Vec<f32> = (0..frames).map(|i| i as f32).collect();
            let right: Vec<f32> = (0..frames).map(|i| -(i as f32)).collect();
            let mut fast = vec![9.0; frames * 2];
            let mut plain = vec![9.0; frames * 2];
            interleave_f32(&left, &right, &mut fast);
            interleave_f32_scalar(&left, &right, &mut plain);
            assert_eq!(fast, plain);
            assert!(fast.chunks_exact(2).enumerate().all(|(i, pair)| pair == [i as f32, -(i as f32)]));
        }
    }
}
