//! The exports: plain numbers and addresses in the module's memory, so that a host needs no tool to call them.
//!
//! The host writes a record to the address that `record_buffer` returns, calls `run`, and reads `f64`s from the address
//! that `predictions` returns and `f32`s from that of `noise_values`. A call that fails panics; the host gets the
//! message by its import `panicked`.

use std::sync::Mutex;

use crate::{Prediction, noise, predict};

/// What the host wrote and reads. Locked for Rust's sake: there is one thread.
struct Buffers {
    record: Vec<u8>,
    predictions: Vec<f64>,
    noise: Vec<f32>,
}

static BUFFERS: Mutex<Buffers> = Mutex::new(Buffers {
    record: Vec::new(),
    predictions: Vec::new(),
    noise: Vec::new(),
});

#[link(wasm_import_module = "host")]
unsafe extern "C" {
    /// Fills `len` bytes from `address` with random ones.
    fn random(address: *mut u8, len: usize);
    /// Takes the message of a panic, UTF-8, before the module traps.
    fn panicked(address: *const u8, len: usize);
}

/// The randomness of the operating system, which this target has none of: Burn makes the ids of parameters of it.
///
/// # Safety
///
/// `address` is that of `len` writable bytes.
#[unsafe(no_mangle)]
unsafe extern "Rust" fn __getrandom_v03_custom(
    address: *mut u8,
    len: usize,
) -> Result<(), getrandom::Error> {
    // SAFETY: the host writes these `len` bytes and no others.
    unsafe { random(address, len) };
    Ok(())
}

fn buffers<T>(use_them: impl FnOnce(&mut Buffers) -> T) -> T {
    use_them(
        &mut BUFFERS
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner()),
    )
}

/// The address of `len` bytes for the record.
#[unsafe(no_mangle)]
extern "C" fn record_buffer(len: usize) -> *mut u8 {
    buffers(|buffers| {
        buffers.record = vec![0; len];
        buffers.record.as_mut_ptr()
    })
}

/// Predicts by the model in the record, and returns the number of predictions.
#[unsafe(no_mangle)]
extern "C" fn run() -> usize {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.to_string();
        // SAFETY: the host only reads these bytes, and is done with them when it returns.
        unsafe { panicked(message.as_ptr(), message.len()) };
    }));
    buffers(|buffers| {
        let record = std::mem::take(&mut buffers.record);
        let predictions = predict(record).unwrap_or_else(|error| panic!("{error}"));
        let numbers = |p: &Prediction| {
            let [mean, lower, upper] = p.in_one_pass;
            [p.first_draw, p.mean, p.lower, p.upper, mean, lower, upper]
        };
        buffers.predictions = predictions.iter().flat_map(numbers).collect();
        buffers.noise = noise();
        predictions.len()
    })
}

/// The address of the predictions, seven numbers each: first draw, mean, and the interval's two ends, and these three
/// once more, in one pass.
#[unsafe(no_mangle)]
extern "C" fn predictions() -> *const f64 {
    buffers(|buffers| buffers.predictions.as_ptr())
}

/// The address of the noise.
#[unsafe(no_mangle)]
extern "C" fn noise_values() -> *const f32 {
    buffers(|buffers| buffers.noise.as_ptr())
}
