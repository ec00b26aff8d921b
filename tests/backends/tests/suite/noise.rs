//! The same standard normals on every device, bit for bit.

use blitz_train::blitz_core::Noise;
use blitz_train::blitz_core::noise::NoiseKey;
use burn::tensor::Tensor;

use crate::devices::others;
use crate::step::values;

#[test]
fn ten_million_normals_have_the_bits_of_the_definition() {
    const N: usize = 10_000_000;
    let key = NoiseKey::new(0xB117_2026, 3, 5);
    let mut expected = vec![0.0; N];
    key.fill_standard_normal(0, &mut expected);
    assert_eq!(expected[N - 1], key.standard_normal_at(N as u64 - 1));
    for device in others() {
        let like = Tensor::<1>::zeros([N], &device);
        let got = values(Noise::new(key).standard_normal(&like));
        let is_other = |i: &usize| got[*i].to_bits() != expected[*i].to_bits();
        let other: Vec<usize> = (0..N).filter(is_other).collect();
        let first = other.first().map(|i| (i, got[*i], expected[*i]));
        let count = other.len();
        assert_eq!(count, 0, "{device:?}: the first of them is {first:?}");
    }
}

#[test]
fn signs_and_zeros_and_ones_are_the_same_on_every_device() {
    let key = NoiseKey::new(7, 8, 9);
    for len in [0, 1, 3, 4, 127, 128, 129, 100_003] {
        let on = |device: &burn::tensor::Device| {
            let like = Tensor::<1>::zeros([1], device);
            let mut noise = Noise::new(key);
            let signs: Tensor<1> = noise.signs([len], &like);
            let mut drawn = vec![values(signs)];
            for probability in [0.0, 0.3, 1.0] {
                drawn.push(values(noise.bernoulli::<1, 1>(probability, [len], &like)));
            }
            (drawn, noise.position())
        };
        let expected = on(&burn::tensor::Device::flex());
        for device in others() {
            assert_eq!(on(&device), expected, "{len} on {device:?}");
        }
    }
}
