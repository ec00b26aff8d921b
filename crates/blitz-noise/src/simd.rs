//! One loop body, compiled for every instruction set worth having and run with the widest that the CPU has.
//!
//! The compiler turns a loop of known length over plain expressions into vectors, as wide as the instruction set of the
//! function that it is inlined into. No operation depends on how many lanes there are, so all copies give the same
//! bits.

/// A loop body. `run` has to be `#[inline(always)]`, and so does all that it calls.
pub trait Body {
    type Output;

    fn run(self) -> Self::Output;
}

/// An instruction set that this CPU has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstructionSet {
    /// What the crate was compiled for.
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl InstructionSet {
    /// The widest.
    pub fn widest() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if x86_64::has_avx512() {
                return Self::Avx512;
            }
            if x86_64::has_avx2() {
                return Self::Avx2;
            }
        }
        Self::Portable
    }

    /// All of them, for tests.
    pub fn available() -> Vec<Self> {
        let all = [
            Some(Self::Portable),
            #[cfg(target_arch = "x86_64")]
            x86_64::has_avx2().then_some(Self::Avx2),
            #[cfg(target_arch = "x86_64")]
            x86_64::has_avx512().then_some(Self::Avx512),
        ];
        all.into_iter().flatten().collect()
    }

    /// Runs `body` with it.
    pub fn run<B: Body>(self, body: B) -> B::Output {
        match self {
            Self::Portable => body.run(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => x86_64::run_avx2(body),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => x86_64::run_avx512(body),
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::Body;

    #[target_feature(enable = "avx2")]
    fn avx2<B: Body>(body: B) -> B::Output {
        body.run()
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    fn avx512<B: Body>(body: B) -> B::Output {
        body.run()
    }

    pub(super) fn has_avx2() -> bool {
        is_x86_feature_detected!("avx2")
    }

    pub(super) fn has_avx512() -> bool {
        is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
    }

    pub(super) fn run_avx2<B: Body>(body: B) -> B::Output {
        assert!(has_avx2());
        // SAFETY: the CPU has AVX2, the one feature that `avx2` enables.
        unsafe { avx2(body) }
    }

    pub(super) fn run_avx512<B: Body>(body: B) -> B::Output {
        assert!(has_avx512());
        // SAFETY: the CPU has the four features that `avx512` enables.
        unsafe { avx512(body) }
    }
}
