//! Neither instruction sets nor threads change a value.

use super::*;
use crate::kernels::cpu::elementwise::{Draw, Normal};
use crate::kernels::cpu::real::Coefficients;
use crate::kernels::cpu::{Term, Value};
use blitz_noise::NoiseKey;

const COEFFICIENTS: Coefficients<f32> = Coefficients {
    a: -1.0,
    b: 2.0,
    c: 0.5,
    d: 0.0,
    e: 0.0,
};

const KERNEL: Value<Draw, f32> = Value {
    _of: Draw,
    coefficients: COEFFICIENTS,
};

const NOISE: Option<NoiseSpan> = Some(NoiseSpan {
    key: NoiseKey::new(1, 2, 3),
    first_block: 5,
});

const TERMS: Term<Normal, f32> = Term {
    _of: Normal,
    coefficients: COEFFICIENTS,
};

fn inputs(len: usize) -> (Vec<f32>, Vec<f32>) {
    let mu = (0..len).map(|i| (i % 1013) as f32 / 500.0 - 1.0);
    let rho = (0..len).map(|i| (i % 97) as f32 / 4.0 - 20.0);
    (mu.collect(), rho.collect())
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn instruction_sets_do_not_change_the_values() {
    let (mu, rho) = inputs(10_003);
    let [expected] = map(KERNEL, NOISE, [&mu, &rho], mu.len());
    let sum_of = |set: InstructionSet| {
        set.run(SumChunk {
            kernel: TERMS,
            noise: None,
            inputs: [&mu, &rho],
            len: mu.len(),
        })
    };
    for set in InstructionSet::available() {
        let mut output = Vec::with_capacity(mu.len());
        set.run(MapChunk {
            kernel: KERNEL,
            noise: NOISE,
            inputs: [&mu, &rho],
            outputs: [&mut output.spare_capacity_mut()[..mu.len()]],
        });
        // SAFETY: every element was written.
        unsafe { output.set_len(mu.len()) };
        assert_eq!(bits(&output), bits(&expected), "{set:?}");
        let portable = sum_of(InstructionSet::Portable);
        assert_eq!(sum_of(set).to_bits(), portable.to_bits(), "{set:?}");
    }
}

#[test]
fn threads_do_not_change_the_values() {
    let (mu, rho) = inputs(1_000_003);
    let with_threads = |n: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build();
        pool.unwrap().install(|| {
            let [output] = map(KERNEL, NOISE, [&mu[..], &rho[..]], mu.len());
            let sum = sum(TERMS, None, [&mu[..], &rho[..]], mu.len());
            (bits(&output), sum.to_bits())
        })
    };
    assert!(with_threads(1) == with_threads(5));
}
