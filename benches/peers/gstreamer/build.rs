//! Links the TensorFlow Lite library that the program links. It stays where it is: a bench is not installed.

use std::env;
use std::path::Path;

fn main() {
    let target = env::var("TARGET").expect("cargo's").to_uppercase().replace('-', "_");
    let name = format!("TFLITEC_PREBUILT_PATH_{target}");
    println!("cargo::rerun-if-env-changed={name}");
    let library = env::var(&name).expect("built from the project's folder, where .cargo/config.toml says it");
    let library = Path::new(&library).canonicalize().expect("the library, as .setup/fetch brings it");
    let folder = library.parent().expect("a file is in a folder").display();
    println!("cargo::rustc-link-search=native={folder}");
    println!("cargo::rustc-link-lib=dylib=tensorflowlite_c");
    println!("cargo::rustc-link-arg=-Wl,-rpath,{folder}");
}
