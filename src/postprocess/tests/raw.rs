use super::*;

#[test]
fn least_and_greatest_value_of_each_output_are_told_with_their_place() {
    let outputs = [
        tensor("a", &[1, 2, 3], TensorType::F32),
        TensorInfo {
            scale: 0.5,
            zero_point: 100,
            ..tensor("b", &[4], TensorType::U8)
        },
        tensor("c", &[], TensorType::F32),
    ];
    let input = tensor("input", &[1, 8, 8, 3], TensorType::F32);
    let settings = Settings::new(profile::Decoder::Raw, 0);
    let mut decoder = Decoder::new(&settings, &input, &outputs).unwrap();
    assert_eq!(decoder.layout(), "3 outputs, summed up");
    let mut detections = Detections::new();
    let a = bytes(&[0.5, f32::NAN, 7.0, -2.0, 7.0, f32::INFINITY]);
    let stats = decoder
        .decode(
            &[&a, &[100, 98, 110, 104], &bytes(&[f32::NAN])],
            &WIDE(),
            &mut detections,
        )
        .unwrap();
    assert!(detections.is_empty());
    assert_eq!(stats.refused, 3, "NaN, infinity, NaN");
    let [a, b, c] = decoder.summaries()[..] else {
        panic!("three outputs: {:?}", decoder.summaries())
    };
    assert_eq!(
        (a.shape(), a.min, a.max, a.argmax),
        (&[1, 2, 3][..], -2.0, 7.0, 2)
    );
    assert_eq!(
        (b.shape(), b.min, b.max, b.argmax),
        (&[4][..], -1.0, 5.0, 2)
    );
    assert_eq!((c.shape(), c.min, c.max, c.argmax), (&[][..], 0.0, 0.0, 0));
}

#[test]
fn a_tensor_of_too_many_dimensions_is_refused() {
    let outputs = [tensor("deep", &[1; 7], TensorType::F32)];
    let input = tensor("input", &[1, 8, 8, 3], TensorType::F32);
    let settings = Settings::new(profile::Decoder::Raw, 0);
    let error = Decoder::new(&settings, &input, &outputs).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("found outputs \"deep\" float32 [1, 1, 1, 1, 1, 1, 1]"),
        "{error}"
    );
}

#[test]
fn other_decoders_have_no_summaries() {
    let (input, outputs) = face_tensors();
    let decoder = Decoder::new(&FACE, &input, &outputs).unwrap();
    assert!(decoder.summaries().is_empty());
}
