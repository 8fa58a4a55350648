;; A filter that asks the cluster `authz` for every request, holds the request meanwhile, and lets
;; it go on when an answer comes. It remembers one request at a time.
(module
  (import "env" "proxy_http_call" (func $http_call
    (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_effective_context" (func $act_for (param i32) (result i32)))
  (import "env" "proxy_continue_stream" (func $continue (param i32) (result i32)))
  (memory (export "memory") 2)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 65536))

  (data (i32.const 16) "authz")
  ;; Three headers as the ABI serialises them: their number, their sizes, their texts.
  (data (i32.const 32)
    "\03\00\00\00"
    "\07\00\00\00\03\00\00\00"
    "\05\00\00\00\06\00\00\00"
    "\0a\00\00\00\05\00\00\00"
    ":method\00GET\00" ":path\00/check\00" ":authority\00authz\00")
  (global $request (mut i32) (i32.const 0))

  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (global.set $request (local.get 0))
    (drop (call $http_call
      (i32.const 16) (i32.const 5)
      (i32.const 32) (i32.const 70)
      (i32.const 0) (i32.const 0)
      (i32.const 0) (i32.const 0)
      (i32.const 200) (i32.const 0)))
    (i32.const 1))

  ;; The root context is called; where the request is gone, nothing is left to do.
  (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
    (if (i32.eqz (call $act_for (global.get $request))) (then
      (drop (call $continue (i32.const 0))))))
)
