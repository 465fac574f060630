//! How frames travel between threads.
