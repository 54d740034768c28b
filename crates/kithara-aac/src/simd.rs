//! Compiles plain loops once more for wide vectors, and picks the version that the processor can run.

/// Eight values that go through the same arithmetic: one vector register where there are such.
pub(crate) type Lanes = [f32; 8];

/// Defines a function whose body is compiled for the baseline and for AVX2.
///
/// The results are the same to the bit: no fused multiplication is introduced, and no sum is reordered.
macro_rules! dispatch {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn plain($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn wide($($arg: $ty),*) $(-> $ret)? {
                    plain($($arg),*)
                }
                if std::arch::is_x86_feature_detected!("avx2") {
                    // SAFETY: the processor has the feature that the function is compiled for.
                    #[allow(unsafe_code)]
                    return unsafe { wide($($arg),*) };
                }
            }
            plain($($arg),*)
        }
    };
}
pub(crate) use dispatch;

/// `out[i] = a[i] + b[i]` over eight values.
#[inline(always)]
pub(crate) fn add(a: &Lanes, b: &Lanes) -> Lanes {
    std::array::from_fn(|i| a[i] + b[i])
}

/// `out[i] = a[i] - b[i]` over eight values.
#[inline(always)]
pub(crate) fn sub(a: &Lanes, b: &Lanes) -> Lanes {
    std::array::from_fn(|i| a[i] - b[i])
}

/// `out[i] = a[i] * k` over eight values.
#[inline(always)]
pub(crate) fn scale(a: &Lanes, k: f32) -> Lanes {
    std::array::from_fn(|i| a[i] * k)
}

/// The product of eight complex values with one complex factor: real and imaginary parts.
#[inline(always)]
pub(crate) fn rotate(re: &Lanes, im: &Lanes, (c, s): (f32, f32)) -> (Lanes, Lanes) {
    (std::array::from_fn(|i| re[i] * c - im[i] * s), std::array::from_fn(|i| re[i] * s + im[i] * c))
}
