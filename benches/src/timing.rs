//! Times of runs on a device, and their median.

use std::time::Instant;

use burn::tensor::Device;

/// The milliseconds of a run, until the device has done all of it. What the device had to do before is not counted.
///
/// # Panics
///
/// Panics if the device fails.
pub fn timed(device: &Device, run: impl FnOnce()) -> f64 {
    sync(device);
    let start = Instant::now();
    run();
    sync(device);
    1e3 * start.elapsed().as_secs_f64()
}

fn sync(device: &Device) {
    if let Err(error) = device.sync() {
        panic!("{device:?} failed: {error:?}");
    }
}

/// The median of the times, the later one of two in the middle.
///
/// # Panics
///
/// Panics without a time.
pub fn median(times: &[f64]) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Arguments that are no number of rounds, and why: what a benchmark's command line has to refuse.
pub const NO_ROUNDS: [(&str, &str); 3] = [
    ("1O", "at least 1"),
    ("0", "at least 1"),
    ("-1", "unexpected argument"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle_whatever_the_order() {
        assert_eq!(median(&[3.0]), 3.0);
        assert_eq!(median(&[9.0, 1.0, 4.0]), 4.0);
        assert_eq!(median(&[9.0, 1.0, 4.0, 7.0]), 7.0);
    }

    #[test]
    fn a_run_takes_its_time_in_milliseconds() {
        let wait = std::time::Duration::from_millis(20);
        let time = timed(&Device::flex(), || std::thread::sleep(wait));
        assert!((20.0..2000.0).contains(&time), "{time}");
    }
}
