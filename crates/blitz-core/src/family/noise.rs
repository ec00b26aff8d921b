//! The noise of one parameter in one draw, as tensors on any device.

use burn::tensor::{DType, Device, Shape, Tensor, TensorData};

use super::deviation::std_from_rho;
use super::{at_least_f32, in_one_type, in_type_of};
use crate::kernels::{self, Precision, Random, formula::NoiseSpan};
use blitz_noise::{NoiseKey, PhiloxRng};

/// The randomness a [`Posterior`](crate::Posterior) draws from: one stream of counter-based noise, read in order.
///
/// Two sources with the same key give the same values, on every backend, in every process. Each call takes the next
/// elements, so that a posterior may ask more than once.
#[derive(Debug, Clone)]
pub struct Noise {
    key: NoiseKey,
    next: u64,
    /// The rows that are read, and the number of rows of their table; `None` for all.
    rows: Option<(Vec<usize>, usize)>,
}

impl Noise {
    /// The stream of `key` from its beginning.
    pub fn new(key: NoiseKey) -> Self {
        Self::starting_at(key, 0)
    }

    /// The stream of `key` from element `next` on, the first of a block of four.
    ///
    /// # Panics
    ///
    /// Panics unless `next` is a multiple of 4.
    pub fn starting_at(key: NoiseKey, next: u64) -> Self {
        assert!(
            next.is_multiple_of(4),
            "noise starts with a block of four elements, not at element {next}"
        );
        Self {
            key,
            next,
            rows: None,
        }
    }

    /// The same noise for the rows `rows` alone of a table of `table_rows`: what
    /// [`standard_normal`](Self::standard_normal) would put into them, without making the others. Signs, zeros and ones, and a generator
    /// are of a whole stream only.
    ///
    /// ```
    /// use blitz_core::prelude::*;
    /// use blitz_core::Noise;
    /// use burn::tensor::{Device, Tensor};
    ///
    /// let device = Device::flex();
    /// let table = Tensor::<2>::zeros([1000, 5], &device);
    /// let all = Noise::new(NoiseKey::new(1, 2, 3)).standard_normal(&table);
    /// let two = Tensor::<2>::zeros([2, 5], &device);
    /// let some = Noise::new(NoiseKey::new(1, 2, 3)).of_rows(&[7, 998], 1000).standard_normal(&two);
    /// assert_eq!(some.slice([1..2, 0..5]).into_data(), all.slice([998..999, 0..5]).into_data());
    /// ```
    #[must_use]
    pub fn of_rows(mut self, rows: &[usize], table_rows: usize) -> Self {
        self.rows = Some((rows.to_vec(), table_rows));
        self
    }

    /// The key of the stream.
    pub fn key(&self) -> NoiseKey {
        self.key
    }

    /// The next element that will be drawn.
    pub fn position(&self) -> u64 {
        self.next
    }

    /// Independent standard normals in the shape, element type and on the device of `like`.
    ///
    /// The values are those of [`NoiseKey::fill_standard_normal`], computed in `f32` for every element type: by the
    /// device itself where blitz has [kernels] for it, else on the host.
    pub fn standard_normal<const D: usize>(&mut self, like: &Tensor<D>) -> Tensor<D> {
        let shape = like.shape();
        let on_device = self.fused(shape.num_elements(), |span| {
            kernels::standard_normal(like, span)
        });
        if let Some(values) = on_device {
            return values;
        }
        let mut values = vec![0.0f32; shape.num_elements()];
        let taken = match &self.rows {
            None => {
                self.key.fill_standard_normal(self.next, &mut values);
                values.len()
            }
            Some((rows, table_rows)) => {
                let length = values.len() / rows.len().max(1);
                for (row, values) in rows.iter().zip(values.chunks_mut(length.max(1))) {
                    let start = self.next + (row * length) as u64;
                    self.key.fill_standard_normal_serial(start, values);
                }
                table_rows * length
            }
        };
        self.advance(taken);
        to_tensor(values, shape, &like.device()).cast(like.dtype())
    }

    /// Weights `μ + ln(1 + e^ρ) ε` with the next standard normals ε, one for each element of `mu`: in one pass over
    /// memory where blitz has [kernels] for the device.
    ///
    /// `rho` is flat, in the row-major order of `mu`.
    pub fn location_scale<const D: usize>(&mut self, mu: Tensor<D>, rho: Tensor<1>) -> Tensor<D> {
        let (wide, rho) = in_one_type(&mu, &rho);
        if wide.dtype() != mu.dtype() {
            return in_type_of(self.location_scale(wide, rho), &mu);
        }
        let elements = mu.shape().num_elements();
        if let Some(weight) = self.fused(elements, |span| kernels::draw(&mu, &rho, span)) {
            return weight;
        }
        // As the kernels do: in `f32` at least, rounded once. Some rows of a table, which have no kernel, so have the
        // bits that they have in the table.
        let wide = at_least_f32(mu.clone());
        let rho = in_type_of(rho, &wide).reshape(mu.shape());
        let epsilon = self.standard_normal(&wide);
        in_type_of(wide + std_from_rho(rho) * epsilon, &mu)
    }

    /// Weights `μ + σ ε` with the next standard normals ε, with σ flat: the bits of
    /// [`location_scale`](Self::location_scale) at the ρ that σ is of.
    pub(crate) fn location_std<const D: usize>(
        &mut self,
        mu: Tensor<D>,
        std: Tensor<1>,
    ) -> Tensor<D> {
        let (wide, std) = in_one_type(&mu, &std);
        let fused = self.fused(mu.shape().num_elements(), |span| {
            kernels::draw_scaled(&wide, &std, span)
        });
        let weight = fused.unwrap_or_else(|| {
            let epsilon = self.standard_normal(&wide);
            wide + std.reshape(mu.shape()) * epsilon
        });
        in_type_of(weight, &mu)
    }

    /// Weights `μ + ε / √(λ (h + δ))` with the next standard normals ε, one for each element of `mu`: in one pass over
    /// memory where blitz has [kernels] for the device.
    ///
    /// `h` is flat, in the row-major order of `mu`.
    pub fn location_precision<const D: usize>(
        &mut self,
        mu: Tensor<D>,
        h: Tensor<1>,
        precision: Precision,
    ) -> Tensor<D> {
        let elements = mu.shape().num_elements();
        let fused = self.fused(elements, |span| {
            kernels::draw_precise(&mu, &h, precision, span)
        });
        if let Some(weight) = fused {
            return weight;
        }
        let wide = at_least_f32(mu.clone());
        let h = in_type_of(h, &wide).reshape(mu.shape());
        let epsilon = self.standard_normal(&wide);
        in_type_of(wide + epsilon / precision.of(h).sqrt(), &mu)
    }

    /// The result of a fused operation that takes the next `elements` normals, if there is one.
    pub(crate) fn fused<T>(
        &mut self,
        elements: usize,
        operation: impl FnOnce(NoiseSpan) -> Option<T>,
    ) -> Option<T> {
        if self.rows.is_some() {
            return None;
        }
        let result = operation(NoiseSpan::new(self.key, self.next, elements))?;
        self.advance(elements);
        Some(result)
    }

    /// Goes on by a whole number of Philox blocks, so that the next request starts on fresh words.
    fn advance(&mut self, elements: usize) {
        self.next += (elements as u64).next_multiple_of(4);
    }

    /// Independent signs, 1 or −1 with equal probability, of `shape` and with the element type and device of `like`:
    /// one bit of the stream each.
    ///
    /// # Panics
    ///
    /// Panics for noise [of some rows](Self::of_rows).
    pub fn signs<const D: usize, const L: usize>(
        &mut self,
        shape: impl Into<Shape>,
        like: &Tensor<L>,
    ) -> Tensor<D> {
        self.check_whole("signs");
        let shape = shape.into();
        let words = shape.num_elements().div_ceil(32);
        let signs = Random::Signs(NoiseSpan::new(self.key, self.next, words));
        self.advance(words);
        kernels::random(signs, shape, like)
    }

    /// Independent zeros and ones, 1 with this probability (to 2⁻³², which it is rounded to), of `shape` and with the
    /// element type and device of `like`: one word of the stream each.
    ///
    /// # Panics
    ///
    /// Panics if the probability does not lie in [0, 1], and for noise [of some rows](Self::of_rows).
    pub fn bernoulli<const D: usize, const L: usize>(
        &mut self,
        probability: f64,
        shape: impl Into<Shape>,
        like: &Tensor<L>,
    ) -> Tensor<D> {
        assert!(
            (0.0..=1.0).contains(&probability),
            "a probability lies in [0, 1], got {probability}"
        );
        self.check_whole("zeros and ones");
        let shape = shape.into();
        let words = shape.num_elements();
        let span = NoiseSpan::new(self.key, self.next, words);
        self.advance(words);
        match u32::try_from((probability * 2f64.powi(32)).round() as u64) {
            Ok(limit) => kernels::random(Random::Below(limit, span), shape, like),
            // Every word is below 2³².
            Err(_) => Tensor::ones(shape, (&like.device(), like.dtype())),
        }
    }

    /// The rest of the stream as a `rand` generator, for the distributions of `rand_distr`.
    ///
    /// The generator reads the words of which the next normals would be made: don't take normals after it.
    ///
    /// # Panics
    ///
    /// Panics for noise [of some rows](Self::of_rows).
    pub fn into_rng(self) -> PhiloxRng {
        self.check_whole("a generator");
        let mut rng = self.key.rng();
        rng.set_word_position(self.next);
        rng
    }

    /// Rows are read at places that only normals know.
    fn check_whole(&self, what: &str) {
        if let Some((rows, table_rows)) = &self.rows {
            panic!(
                "noise of {} rows out of {table_rows} has no {what}, only standard normals",
                rows.len()
            );
        }
    }
}

fn to_tensor<const D: usize>(values: Vec<f32>, shape: Shape, device: &Device) -> Tensor<D> {
    // The device's own type may have fewer digits than the tensor it is for.
    Tensor::from_data(TensorData::new(values, shape), (device, DType::F32))
}
