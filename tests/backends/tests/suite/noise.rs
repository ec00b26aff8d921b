//! The same standard normals on every device: at most two units in the last place from the definition.

use blitz_train::blitz_core::Noise;
use blitz_train::blitz_core::noise::NoiseKey;
use burn::tensor::Tensor;

use crate::devices::others;
use crate::step::values;

/// The number of floats between two of the same sign.
fn ulps(a: f32, b: f32) -> u32 {
    a.to_bits().abs_diff(b.to_bits())
}

#[test]
fn ten_million_normals_are_within_two_ulp_of_the_definition() {
    const N: usize = 10_000_000;
    let key = NoiseKey::new(0xB117_2026, 3, 5);
    let mut expected = vec![0.0; N];
    key.fill_standard_normal(0, &mut expected);
    assert_eq!(expected[N - 1], key.standard_normal_at(N as u64 - 1));
    for device in others() {
        let like = Tensor::<1>::zeros([N], &device);
        let got = values(Noise::new(key).standard_normal(&like));
        let mut off = [0usize; 4];
        for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
            let ulps = ulps(*got, *expected);
            assert!(ulps <= 2, "{device:?}, element {i}: {got} for {expected}");
            off[ulps as usize] += 1;
        }
        println!("{device:?}: {off:?} normals are 0, 1, 2 ulp off");
    }
}
