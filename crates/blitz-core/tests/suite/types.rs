//! The float types that weights may have, and how fine each is: what the tests of all crates share.

use burn::tensor::DType;

/// All of them, the widest first.
pub const TYPES: [DType; 4] = [DType::F64, DType::F32, DType::F16, DType::BF16];

/// The distance from one to the next number of the type.
pub fn unit(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => f64::EPSILON,
        DType::F32 => f64::from(f32::EPSILON),
        DType::F16 => 2f64.powi(-10),
        _ => 2f64.powi(-7),
    }
}
