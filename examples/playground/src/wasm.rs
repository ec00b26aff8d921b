//! The exports: plain numbers and addresses in the module's memory, so that a host needs no tool to call them.
//!
//! The host writes `f64`s to the address that `input` returns, and reads `f64`s from the address that `bands` returns.
//! A call that refuses what it was given returns 0, one that fails panics; the host gets the sentence by its imports
//! `refused` and `panicked`.

use std::cell::RefCell;

use crate::{InputError, Method, Playground, Point, Settings};

struct Page {
    playground: Playground,
    input: Vec<f64>,
    output: Vec<f64>,
}

thread_local! {
    static PAGE: RefCell<Option<Page>> = const { RefCell::new(None) };
}

#[link(wasm_import_module = "host")]
unsafe extern "C" {
    /// Fills `len` bytes from `address` with random ones.
    fn random(address: *mut u8, len: usize);
    /// Takes the message of a panic, UTF-8, before the module traps.
    fn panicked(address: *const u8, len: usize);
    /// Takes the reason why a call returns 0, UTF-8.
    fn refused(address: *const u8, len: usize);
    /// Milliseconds since some moment in the past.
    #[link_name = "now"]
    fn host_now() -> f64;
}

pub(crate) fn now() -> f64 {
    // SAFETY: the host's clock takes nothing and touches no memory.
    unsafe { host_now() }
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

fn page<T>(use_it: impl FnOnce(&mut Page) -> T) -> T {
    PAGE.with_borrow_mut(|page| {
        use_it(page.get_or_insert_with(|| {
            std::panic::set_hook(Box::new(|panic| {
                let message = panic.to_string();
                // SAFETY: the host only reads these bytes, and is done with them when it returns.
                unsafe { panicked(message.as_ptr(), message.len()) };
            }));
            Page {
                playground: Playground::new(1),
                input: Vec::new(),
                output: Vec::new(),
            }
        }))
    })
}

fn accepted(result: Result<(), InputError>) -> bool {
    if let Err(error) = &result {
        let message = error.to_string();
        // SAFETY: as in the hook above.
        unsafe { refused(message.as_ptr(), message.len()) };
    }
    result.is_ok()
}

/// The address of `len` numbers for the next call.
#[unsafe(no_mangle)]
extern "C" fn input(len: usize) -> *mut f64 {
    page(|page| {
        page.input = vec![0.0; len];
        page.input.as_mut_ptr()
    })
}

/// Sets the points: the input has pairs of abscissa and ordinate.
#[unsafe(no_mangle)]
extern "C" fn set_points() -> bool {
    page(|page| {
        let points = Point::pairs(&page.input);
        accepted(points.and_then(|points| page.playground.set_points(&points)))
    })
}

#[unsafe(no_mangle)]
extern "C" fn set_settings(prior_std: f64, noise: f64, kl_weight: f64) -> bool {
    let settings = Settings {
        prior_std,
        noise,
        kl_weight,
    };
    page(|page| accepted(page.playground.set_settings(settings)))
}

#[unsafe(no_mangle)]
extern "C" fn restart(seed: u32) {
    page(|page| page.playground.restart(seed.into()));
}

/// Trains for about so many milliseconds.
#[unsafe(no_mangle)]
extern "C" fn advance(milliseconds: f64) {
    page(|page| page.playground.advance(milliseconds));
}

/// Turns since the trainings started.
#[unsafe(no_mangle)]
extern "C" fn turns() -> f64 {
    page(|page| page.playground.turns() as f64)
}

/// The address of the bands at the places in the input: for each method in turn as many means, epistemic deviations and
/// deviations of a point as there are places, all NaN where it has no band.
#[unsafe(no_mangle)]
extern "C" fn bands() -> *const f64 {
    page(|page| {
        let len = page.input.len();
        page.output = vec![f64::NAN; 3 * len * Method::ALL.len()];
        if len == 0 {
            return page.output.as_ptr();
        }
        let bands = page.playground.bands(&page.input);
        for (method, output) in Method::ALL.iter().zip(page.output.chunks_mut(3 * len)) {
            if let Some(band) = bands.iter().find(|band| band.method == *method) {
                let columns = [&band.mean, &band.epistemic_std, &band.std_dev];
                output
                    .chunks_mut(len)
                    .zip(columns)
                    .for_each(|(to, from)| to.copy_from_slice(from));
            }
        }
        page.output.as_ptr()
    })
}
