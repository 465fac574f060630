//! Executables that link the library count every heap call of theirs, in whatever language.

use pinsight::sys::heap;
use std::hint::black_box;

#[test]
fn an_executable_that_links_the_library_has_its_heap_calls_counted() {
    heap::self_test().unwrap();
    let hot = heap::register_hot().unwrap();
    let _guard = heap::guard_on();
    drop(black_box(vec![1_u8; 1000]));
    assert_eq!((hot.counts().calls, hot.counts().frees), (1, 1));
    assert_eq!(hot.counts().growth_bytes(), 0);
}
