//! Planar to interleaved samples.
//!
//! Stereo `f32` is what nearly all audio is. A plain loop compiled for AVX2 is as fast as hand-written intrinsics, so the
//! loop is written once and compiled twice, and the choice is made at run time.

use std::ops::Range;

use symphonia::core::audio::sample::Sample;
use symphonia::core::audio::{Audio, AudioBuffer};

/// Interleaves two planes into `out`, as many frames as the shortest of the three holds.
#[inline]
pub fn interleave_f32(left: &[f32], right: &[f32], out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        #[allow(
            unsafe_code,
            reason = "calling a function compiled for AVX2 after the run-time check is unsafe by rule"
        )]
        // SAFETY: the processor has AVX2, which is all that the function asks for beyond safe code.
        unsafe {
            interleave_f32_avx2(left, right, out);
        }
        return;
    }
    interleave_f32_scalar(left, right, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn interleave_f32_avx2(left: &[f32], right: &[f32], out: &mut [f32]) {
    interleave_loop(left, right, out);
}

/// [`interleave_f32`] with nothing but the target's baseline instructions.
pub fn interleave_f32_scalar(left: &[f32], right: &[f32], out: &mut [f32]) {
    interleave_loop(left, right, out);
}

#[inline(always)]
fn interleave_loop(left: &[f32], right: &[f32], out: &mut [f32]) {
    let (pairs, _) = out.as_chunks_mut::<2>();
    for ((pair, &l), &r) in pairs.iter_mut().zip(left).zip(right) {
        *pair = [l, r];
    }
}

/// Interleaves `range` of any number of planes, converting each sample.
pub(super) fn interleave_with<S: Sample>(
    buffer: &AudioBuffer<S>,
    range: Range<usize>,
    out: &mut [f32],
    convert: impl Fn(S) -> f32,
) {
    let channels = buffer.num_planes();
    if let (2, Some(left), Some(right)) = (channels, buffer.plane(0), buffer.plane(1)) {
        let (pairs, _) = out.as_chunks_mut::<2>();
        for ((pair, &l), &r) in pairs.iter_mut().zip(&left[range.clone()]).zip(&right[range]) {
            *pair = [convert(l), convert(r)];
        }
        return;
    }
    for (channel, plane) in buffer.iter_planes().enumerate() {
        for (frame, &sample) in out.chunks_exact_mut(channels).zip(&plane[range.clone()]) {
            frame[channel] = convert(sample);
        }
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
