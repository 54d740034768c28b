//! Numbers and dates as playlists write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A decimal integer without sign.
pub(super) fn integer(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Seconds as a decimal number without sign or exponent, exact to the nanosecond (further digits round).
pub(super) fn seconds(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole = if whole.is_empty() { 0 } else { integer(whole)? };
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digit = |place: usize| u64::from(fraction.as_bytes().get(place).map_or(0, |byte| byte - b'0'));
    let nanos = (0..9).fold(0, |nanos, place| nanos * 10 + digit(place)) + u64::from(digit(9) >= 5);
    Duration::from_secs(whole).checked_add(Duration::from_nanos(nanos))
}

/// [`seconds`] with an optional sign: whether it is negative, and how much.
pub(super) fn signed_seconds(text: &str) -> Option<(bool, Duration)> {
    match text.strip_prefix('-') {
        Some(text) => seconds(text).map(|duration| (true, duration)),
        None => seconds(text.strip_prefix('+').unwrap_or(text)).map(|duration| (false, duration)),
    }
}

/// ISO 8601 date and time, as `2010-02-19T14:54:23.031+08:00`; without a zone it is UTC.
pub(super) fn date_time(text: &str) -> Option<SystemTime> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let mut date = date.splitn(3, '-').map(integer);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (time, zone_seconds) = split_zone(time)?;
    let mut time = time.splitn(3, ':');
    let (hour, minute) = (integer(time.next()?)?, integer(time.next()?)?);
    let second = seconds(time.next().unwrap_or("0"))?;
    let plausible = year <= 9999
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour <= 24
        && minute <= 59
        && second < Duration::from_secs(61);
    if !plausible {
        return None;
    }
    let clock = i64::try_from(hour * 3600 + minute * 60).ok()?;
    let unix = days_from_civil(year, month, day)? * 86_400 + clock - zone_seconds;
    let base = match u64::try_from(unix) {
        Ok(after) => UNIX_EPOCH.checked_add(Duration::from_secs(after)),
        Err(_) => UNIX_EPOCH.checked_sub(Duration::from_secs(unix.unsigned_abs())),
    };
    base?.checked_add(second)
}

/// Splits `Z`, `+08:00`, `+0800` or `+08` off a time; the zone in seconds east of UTC.
fn split_zone(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix(['Z', 'z']) {
        return Some((time, 0));
    }
    let Some(at) = time.find(['+', '-']) else { return Some((time, 0)) };
    let (time, zone) = time.split_at(at);
    let (sign, zone) = zone.split_at_checked(1)?;
    let (hours, minutes) = match zone.split_once(':') {
        Some(parts) => parts,
        None => zone.split_at_checked(2)?,
    };
    let minutes = if minutes.is_empty() { 0 } else { integer(minutes)? };
    let hours = integer(hours)?;
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = i64::try_from(hours * 3600 + minutes * 60).ok()?;
    Some((time, if sign == "-" { -seconds } else { seconds }))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar; years before 1970 count down.
fn days_from_civil(year: u64, month: u64, day: u64) -> Option<i64> {
    let year = i64::try_from(if month <= 2 { year.checked_sub(1)? } else { year }).ok()?;
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = i64::try_from((month + 9) % 12).ok()?;
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::try_from(day).ok()? - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_exact_where_f32_is_not() {
        assert_eq!(seconds("9.009"), Some(Duration::from_nanos(9_009_000_000)));
        assert_eq!(seconds("3.9893333333"), Some(Duration::from_nanos(3_989_333_333)));
        assert_eq!(seconds("0.9999999996"), Some(Duration::from_secs(1)));
        assert_eq!(seconds("4"), Some(Duration::from_secs(4)));
        assert_eq!(seconds("4."), Some(Duration::from_secs(4)));
        assert_eq!(seconds(".5"), Some(Duration::from_millis(500)));
        for bad in ["", ".", "-1", "+1", "1e3", "1.2.3", "NaN", "inf", "4,0", "99999999999999999999"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn signed_seconds_know_both_signs() {
        assert_eq!(signed_seconds("-1.5"), Some((true, Duration::from_millis(1500))));
        assert_eq!(signed_seconds("+2"), Some((false, Duration::from_secs(2))));
        assert_eq!(signed_seconds("--2"), None);
    }

    #[test]
    fn dates_are_read_with_and_without_a_zone() {
        let unix = |text: &str| date_time(text).and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        assert_eq!(unix("1970-01-01T00:00:00Z"), Some(Duration::ZERO));
        assert_eq!(unix("2010-02-19T14:54:23.031+08:00"), Some(Duration::from_millis(1_266_562_463_031)));
        assert_eq!(unix("2010-02-19T14:54:23.031+0800"), Some(Duration::from_millis(1_266_562_463_031)));
        assert_eq!(unix("2010-02-19T06:54:23.031"), Some(Duration::from_millis(1_266_562_463_031)));
        assert_eq!(unix("2024-02-29 12:00:00Z"), Some(Duration::from_secs(1_709_208_000)));
        assert!(date_time("1969-12-31T23:59:59Z").is_some_and(|time| time < UNIX_EPOCH));
        for bad in
            ["", "now", "2010-13-01T00:00:00Z", "2010-01-01", "2010-01-01T99:00:00Z", "T", "0000-01-01T0:0é"]
        {
            assert_eq!(date_time(bad), None, "{bad}");
        }
    }
}
