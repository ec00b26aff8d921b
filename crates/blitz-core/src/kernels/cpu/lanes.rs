//! Several numbers in one register of the CPU, for products that the compiler does not make of a loop.
//!
//! A product is worth it where its sums stay in registers, a number that it multiplies with is read once for several of
//! them, and product and sum are one instruction. Those are AVX-512 (with the feature `x86-v4`), AVX2 and NEON; other
//! CPUs have Burn's operations.

use std::sync::LazyLock;

use pulp::{Simd, WithSimd};

use super::real::{Element, Real};

/// A number that registers hold several of.
pub(super) trait Float: Element<Real = Self> + Real {
    /// A register of them.
    type Lanes<S: Simd>: Copy;

    fn is_nan(self) -> bool;

    fn splat<S: Simd>(simd: S, value: Self) -> Self::Lanes<S>;

    /// `a b + c`, rounded once.
    fn multiply_add<S: Simd>(
        simd: S,
        a: Self::Lanes<S>,
        b: Self::Lanes<S>,
        c: Self::Lanes<S>,
    ) -> Self::Lanes<S>;

    fn plus<S: Simd>(simd: S, a: Self::Lanes<S>, b: Self::Lanes<S>) -> Self::Lanes<S>;

    /// As many registers as the numbers fill.
    fn registers<S: Simd>(values: &[Self]) -> &[Self::Lanes<S>];

    /// The same, to write over.
    fn registers_mut<S: Simd>(values: &mut [Self]) -> &mut [Self::Lanes<S>];
}

macro_rules! float {
    ($float:ty, $lanes:ident, $splat:ident, $multiply_add:ident, $add:ident, $registers:ident, $registers_mut:ident) => {
        impl Float for $float {
            type Lanes<S: Simd> = S::$lanes;

            #[inline(always)]
            fn is_nan(self) -> bool {
                <$float>::is_nan(self)
            }

            #[inline(always)]
            fn splat<S: Simd>(simd: S, value: Self) -> S::$lanes {
                simd.$splat(value)
            }

            #[inline(always)]
            fn multiply_add<S: Simd>(
                simd: S,
                a: S::$lanes,
                b: S::$lanes,
                c: S::$lanes,
            ) -> S::$lanes {
                simd.$multiply_add(a, b, c)
            }

            #[inline(always)]
            fn plus<S: Simd>(simd: S, a: S::$lanes, b: S::$lanes) -> S::$lanes {
                simd.$add(a, b)
            }

            #[inline(always)]
            fn registers<S: Simd>(values: &[Self]) -> &[S::$lanes] {
                S::$registers(values).0
            }

            #[inline(always)]
            fn registers_mut<S: Simd>(values: &mut [Self]) -> &mut [S::$lanes] {
                S::$registers_mut(values).0
            }
        }
    };
}

float!(
    f32,
    f32s,
    splat_f32s,
    mul_add_f32s,
    add_f32s,
    as_simd_f32s,
    as_mut_simd_f32s
);
float!(
    f64,
    f64s,
    splat_f64s,
    mul_add_f64s,
    add_f64s,
    as_simd_f64s,
    as_mut_simd_f64s
);

/// The most numbers that two registers hold.
pub(super) const WIDEST_PAIR: usize = 32;

/// Registers that this CPU has.
#[derive(Debug, Clone, Copy)]
pub(in crate::kernels) enum Registers {
    #[cfg(target_arch = "x86_64")]
    Avx2(pulp::x86::V3),
    #[cfg(all(target_arch = "x86_64", feature = "x86-v4"))]
    Avx512(pulp::x86::V4),
    #[cfg(target_arch = "aarch64")]
    Neon(pulp::aarch64::Neon),
    /// None that a product gains by, so that it is never available.
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    #[expect(dead_code)]
    Scalar(pulp::Scalar),
}

/// Asked once: under a hypervisor a CPU's answer takes a microsecond.
static AVAILABLE: LazyLock<Vec<Registers>> = LazyLock::new(|| {
    let all: &[Option<Registers>] = &[
        #[cfg(target_arch = "x86_64")]
        pulp::x86::V3::try_new().map(Registers::Avx2),
        #[cfg(all(target_arch = "x86_64", feature = "x86-v4"))]
        pulp::x86::V4::try_new().map(Registers::Avx512),
        #[cfg(target_arch = "aarch64")]
        pulp::aarch64::Neon::try_new().map(Registers::Neon),
    ];
    all.iter().flatten().copied().collect()
});

impl Registers {
    /// All of them, the widest last.
    pub fn available() -> &'static [Self] {
        &AVAILABLE
    }

    /// The widest, on a CPU that has any.
    pub fn widest() -> Self {
        match Self::available().last() {
            Some(registers) => *registers,
            None => panic!("this CPU has no registers for a product"),
        }
    }

    /// Runs a kernel with them.
    pub fn run<K: WithSimd>(self, kernel: K) -> K::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => Simd::vectorize(simd, kernel),
            #[cfg(all(target_arch = "x86_64", feature = "x86-v4"))]
            Self::Avx512(simd) => Simd::vectorize(simd, kernel),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(simd) => Simd::vectorize(simd, kernel),
            #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
            Self::Scalar(simd) => Simd::vectorize(simd, kernel),
        }
    }
}
