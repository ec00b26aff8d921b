//! The code of the README and of the book, compiled and run as documentation tests: a package of its own, since a
//! published crate holds what lies in its folder alone.

/// The README's code, compiled and run as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// The code of `docs/active.md`, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/active.md")]
struct ActivePage;

/// The code of `docs/calibration.md`, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/calibration.md")]
struct CalibrationPage;

/// The code of `docs/one-pass.md`, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/one-pass.md")]
struct OnePassPage;

/// The code of `docs/samplers.md`, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/samplers.md")]
struct SamplersPage;

/// The code of `docs/gold-standard.md`, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/gold-standard.md")]
struct GoldStandardPage;

/// The code of `docs/laplace.md`, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/laplace.md")]
struct LaplacePage;

/// The code of `docs/start.md`, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/start.md")]
struct StartPage;

/// The code of `docs/plots.md`, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/plots.md")]
struct PlotsPage;

/// The code of `docs/methods.md`, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/methods.md")]
struct MethodsPage;

/// The code of `docs/concepts.md`, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/concepts.md")]
struct ConceptsPage;

/// The code of `docs/continual.md`, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/continual.md")]
struct ContinualPage;

/// The code of `docs/converting.md`, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/converting.md")]
struct ConvertingPage;

/// The code of `docs/fine-tuning.md`, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/fine-tuning.md")]
struct FineTuningPage;

/// The code of `docs/choosing.md`, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/choosing.md")]
struct ChoosingPage;

/// The code of `docs/layers.md`, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/layers.md")]
struct LayersPage;

/// The code of `docs/training.md`, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/training.md")]
struct TrainingPage;

/// The code of `docs/uncertainty.md`, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/uncertainty.md")]
struct UncertaintyPage;

/// The code of `docs/from-blitz.md`, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/from-blitz.md")]
struct FromBlitzPage;
