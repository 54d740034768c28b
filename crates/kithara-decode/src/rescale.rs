//! Counts of one unit in another: frames at another rate, ticks of another clock. The one place that rounds them.

/// `value × to / from`, rounded to nearest.
pub(crate) fn rescale(value: u64, to: u32, from: u32) -> u64 {
    let from = u128::from(from.max(1));
    u64::try_from((u128::from(value) * u128::from(to) + from / 2) / from).unwrap_or(u64::MAX)
}

/// [`rescale`] for times before and after zero: rounds to nearest, halves upwards.
pub(crate) fn rescale_signed(value: i64, to: u32, from: u32) -> i64 {
    let from = i128::from(from.max(1));
    let scaled = (i128::from(value) * i128::from(to) + from / 2).div_euclid(from);
    i64::try_from(scaled).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}
