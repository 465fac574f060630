//! Executables that link the library count every heap call of theirs, in whatever language, and a
//! thread with an arena runs TensorFlow Lite's own kernels without entering the heap.

use pinsight::board::OnShortage;
use pinsight::sys::heap::{self, Arena, HeapCounts};
use pinsight::sys::memory::{Pages, Region, RegionRequest};
use std::hint::black_box;
use tflitec::interpreter::{Interpreter, Options};
use tflitec::model::Model;

#[test]
fn an_executable_that_links_the_library_has_its_heap_calls_counted() {
    heap::self_test().unwrap();
    let hot = heap::register_hot().unwrap();
    let _guard = heap::guard_on();
    drop(black_box(vec![1_u8; 1000]));
    assert_eq!((hot.counts().calls, hot.counts().frees), (1, 1));
    assert_eq!(hot.counts().growth_bytes(), 0);
}

fn arena(bytes: u64) -> &'static Arena {
    let region = Region::map(&RegionRequest {
        bytes,
        pages: Pages::Plain,
        node: None,
        on_shortage: OnShortage::Fallback,
    });
    Arena::new(region.unwrap()).unwrap()
}

/// Heap calls of 20 invokes with the built-in kernels, which allocate at each, after two warm-ups.
fn twenty_invokes(arena: Option<&'static Arena>) -> HeapCounts {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/.cache/models/visual_wake_words.tflite"
    );
    let model = Model::new(path).unwrap_or_else(|error| {
        panic!("{path}: {error}; `make setup` fetches it");
    });
    let options = Options {
        thread_count: 1,
        is_xnnpack_enabled: false,
    };
    let interpreter = Interpreter::new(&model, Some(options)).unwrap();
    interpreter.allocate_tensors().unwrap();
    for _ in 0..2 {
        interpreter.invoke().unwrap();
    }
    let mut hot = heap::register_hot().unwrap();
    if let Some(arena) = arena {
        hot.attach(arena).unwrap();
    }
    let guard = heap::guard_on();
    for _ in 0..20 {
        interpreter.invoke().unwrap();
    }
    drop(guard);
    hot.counts()
}

#[test]
fn the_built_in_kernels_allocate_at_each_invoke_and_are_counted() {
    let counts = twenty_invokes(None);
    assert!(counts.calls >= 20, "{counts:?}");
    assert_eq!(counts.growth_bytes(), 0, "{counts:?}");
}

#[test]
fn with_an_arena_the_same_invokes_never_enter_the_heap() {
    let arena = arena(1 << 20);
    let counts = twenty_invokes(Some(arena));
    assert_eq!(counts.heap_calls(), 0, "{counts:?}");
    assert_eq!(counts.growth_bytes(), 0);
    assert!(counts.arena_served >= 20, "{counts:?}");
    assert_eq!((counts.arena_overdrawn, counts.arena_refused), (0, 0));
    assert_eq!(counts.arena_served, counts.arena_returned);
    assert!(arena.report().high_water_bytes > 0);
    assert_eq!(arena.report().in_use_bytes, 0);
}

#[test]
fn an_arena_that_is_too_small_fails_inferences_by_count_and_not_the_process() {
    let arena = arena(64 << 10);
    let mut hot = heap::register_hot().unwrap();
    hot.attach(arena).unwrap();
    let guard = heap::guard_on();
    // Fills most of the main part, so that small requests need the reserve and large ones the heap.
    let ballast: Vec<Box<[u8; 1024]>> = (0..39).map(|_| black_box(Box::new([0; 1024]))).collect();
    drop(guard);
    drop(hot);
    let counts = twenty_invokes(Some(arena));
    assert!(
        counts.arena_overdrawn > 0 && counts.arena_refused > 0,
        "{counts:?}"
    );
    assert_eq!(counts.calls, counts.arena_refused);
    assert_eq!(counts.growth_bytes(), 0, "{counts:?}");
    drop(ballast);
}
