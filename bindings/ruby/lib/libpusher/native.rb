# frozen_string_literal: true

require 'ffi'
require 'json'
require_relative 'bundled'

module LibPusher
  # Declares the C functions and converts their results to values or exceptions. It knows nothing of channels and events.
  # @api private
  module Native
    extend FFI::Library

    # The number in the library's name changes with its ABI.
    system =
      if FFI::Platform.mac? then ['libpusher.0.dylib', 'libpusher.dylib']
      elsif FFI::Platform.windows? then ['pusher.dll']
      else ['libpusher.so.0', 'libpusher.so']
      end
    # PUSHER_LIBRARY selects a library elsewhere. The one of the gem comes before the system's, and is passed over if it does not load:
    # an old RubyGems installs the gem for glibc where musl is.
    ffi_lib ENV['PUSHER_LIBRARY'] || [*Bundled.library, *system]

    # Functions that wait for the network or for a lock let other Ruby threads run.
    waits = { blocking: true }

    attach_function :pusher_version, [], :string
    attach_function :pusher_version_number, [], :uint32
    attach_function :pusher_status_name, [:int32], :string

    attach_function :pusher_new, %i[string pointer pointer], :int32
    attach_function :pusher_clone, %i[pointer pointer pointer], :int32
    attach_function :pusher_cancel, [:pointer], :void
    attach_function :pusher_free, [:pointer], :void
    attach_function :pusher_string_free, [:pointer], :void

    attach_function :pusher_trigger, %i[pointer string string string string pointer], :int32, **waits
    attach_function :pusher_trigger_batch, %i[pointer string string pointer], :int32, **waits
    attach_function :pusher_send_to_user, %i[pointer string string string string pointer], :int32, **waits
    attach_function :pusher_terminate_user_connections, %i[pointer string string pointer], :int32, **waits
    attach_function :pusher_channels_info, %i[pointer string string string pointer], :int32, **waits
    attach_function :pusher_channel_info, %i[pointer string string string pointer], :int32, **waits
    attach_function :pusher_users_info, %i[pointer string string pointer], :int32, **waits
    attach_function :pusher_get, %i[pointer string string string pointer], :int32, **waits
    attach_function :pusher_post, %i[pointer string string string string pointer], :int32, **waits
    attach_function :pusher_delete, %i[pointer string string string pointer], :int32, **waits

    attach_function :pusher_authenticate, %i[pointer string string string pointer], :int32
    attach_function :pusher_authenticate_channels, %i[pointer string string pointer], :int32
    attach_function :pusher_authenticate_user, %i[pointer string string pointer], :int32
    attach_function :pusher_validate_webhook, %i[pointer string string buffer_in size_t pointer], :int32

    callback :observe_function, %i[pointer int32 uint64 string], :void
    attach_function :pusher_set_observer, %i[pointer observe_function pointer pointer pointer], :int32
    attach_function :pusher_stats, %i[pointer pointer], :int32

    callback :log_function, %i[pointer int32 string string], :void
    attach_function :pusher_set_log, %i[pointer log_function pointer pointer pointer], :int32

    attach_function :pusher_prepare, %i[pointer string pointer size_t pointer pointer], :int32
    attach_function :pusher_finish, %i[pointer pointer pointer pointer], :int32
    attach_function :pusher_request_method, [:pointer], :string
    attach_function :pusher_request_url, [:pointer], :string
    attach_function :pusher_request_header_count, [:pointer], :size_t
    attach_function :pusher_request_header, %i[pointer size_t pointer pointer], :int32
    attach_function :pusher_request_body, %i[pointer pointer], :pointer
    attach_function :pusher_request_timeout_ms, [:pointer], :uint32
    attach_function :pusher_request_bytes, %i[pointer pointer], :pointer
    attach_function :pusher_request_host, [:pointer], :string
    attach_function :pusher_request_port, [:pointer], :uint16
    attach_function :pusher_request_tls, [:pointer], :int32
    attach_function :pusher_request_free, [:pointer], :void
    attach_function :pusher_response_new, [], :pointer
    attach_function :pusher_response_set, %i[pointer int32 buffer_in size_t], :void
    attach_function :pusher_response_set_header, %i[pointer string string], :void
    attach_function :pusher_response_fail, %i[pointer int32 string string], :void
    attach_function :pusher_response_feed, %i[pointer buffer_in size_t pointer], :int32
    attach_function :pusher_response_free, [:pointer], :void

    attach_function :pusher_publisher_new, %i[pointer string pointer pointer], :int32
    attach_function :pusher_publisher_publish, %i[pointer string string string string pointer pointer], :int32, **waits
    attach_function :pusher_publisher_poll, %i[pointer uint32 pointer], :int32, **waits
    attach_function :pusher_publisher_fd, %i[pointer pointer pointer], :int32
    attach_function :pusher_publisher_flush, %i[pointer uint32 pointer], :int32, **waits
    attach_function :pusher_publisher_close, %i[pointer uint32 pointer], :int32, **waits
    attach_function :pusher_publisher_drain, %i[pointer uint32 pointer], :int32, **waits
    attach_function :pusher_publisher_restore, %i[pointer string pointer], :int32
    attach_function :pusher_publisher_stats, %i[pointer pointer], :int32
    attach_function :pusher_publisher_free, [:pointer], :void, **waits

    # Within a major version, functions are only added.
    def self.check_version(found, needed)
      numbers = [found, needed].map { |version| version.split('.').map(&:to_i) }
      return if numbers.map(&:first).uniq.one? && (numbers.first <=> numbers.last) >= 0

      raise LoadError, "libpusher #{needed} or later of its major version is needed, and #{found} is loaded"
    end
    check_version(pusher_version, VERSION)

    OK = 0
    INVALID_ARGUMENT = 1
    INVALID_CONFIG = 2
    DELIVERY_UNKNOWN = 21
    BAD_RESPONSE = 22
    UNAUTHORIZED = 41
    WEBHOOK_INVALID = 60
    ENCRYPTION = 61
    TIMED_OUT = 82
    INTERNAL = 255

    # A client, freed with its last reference.
    class ClientHandle < FFI::AutoPointer
      def self.release(pointer) = Native.pusher_free(pointer)
    end

    # A publisher, freed with its last reference, which waits at most a second.
    class PublisherHandle < FFI::AutoPointer
      def self.release(pointer) = Native.pusher_publisher_free(pointer)
    end

    # A prepared request.
    class RequestHandle < FFI::AutoPointer
      def self.release(pointer) = Native.pusher_request_free(pointer)
    end

    # A response, freed with its last reference.
    class ResponseHandle < FFI::AutoPointer
      def self.release(pointer) = Native.pusher_response_free(pointer)
    end

    # Passes a place for the document to the block, which makes a C call and returns its status.
    #
    # @param also another status that is not a failure
    # @param logger receives the messages of the call
    # @param observer receives the observations of the call
    # @yieldparam out [FFI::MemoryPointer]
    # @return [String, nil] the document, nil if there is none
    # @raise [Error]
    def self.call(also = OK, logger = nil, observer = nil, &function)
      return run(also, &function) unless logger || observer

      telling(logger, observer) do |records|
        # Nothing may interrupt the thread in a callback: the interruption would unwind the library's stack frames.
        Thread.handle_interrupt(Object => :never) { recording(records) { run(also, &function) } }
      end
    end

    # Makes a call as {call} does, of a function that waits. It lets the other fibers of a scheduler run.
    #
    # @param cancel [#call, nil] ends the function, for a fiber that is interrupted
    # @param sends [Boolean] whether the function publishes
    def self.wait(also = OK, logger = nil, observer = nil, cancel: nil, sends: false, &function)
      return call(also, logger, observer, &function) unless Fibers.scheduled?
      return Fibers.run(cancel: cancel, sends: sends) { run(also, &function) } unless logger || observer

      # The messages are passed on by the fiber that made the call, on its thread.
      telling(logger, observer) do |records|
        Fibers.run(cancel: cancel, sends: sends) { recording(records) { run(also, &function) } }
      end
    end

    def self.run(also)
      out = FFI::MemoryPointer.new(:pointer)
      begin
        status = yield(out)
      ensure
        # Also if Timeout or Thread#raise interrupts the thread, which happens after the call.
        document = take(out)
      end
      return document if status == OK || status == also

      raise failure(status, document)
    end

    # Makes a handle of `type` with a C function that has a parameter for it and one for the document.
    def self.make(type)
      place = FFI::MemoryPointer.new(:pointer)
      call { |out| yield place, out }
      type.new(place.read_pointer)
    end

    def self.failure(status, document)
      document = document && JSON.parse(document)['error']
      name = pusher_status_name(status)
      Error.of(status, document || { 'status' => name, 'message' => name })
    end

    # Copies and frees a string that the library wrote.
    def self.take(out)
      pointer = out.read_pointer
      return if pointer.null?

      text = pointer.read_string
      pusher_string_free(pointer)
      text.force_encoding(Encoding::UTF_8)
    end

    private_class_method :run, :failure, :take

    # The messages and the observations of a call, until it has ended. The logger is not called from within C: a throw, Thread#kill or
    # a call of the client in it would unwind the library's stack frames.
    Records = Struct.new(:messages, :observations)
    RECORDS_KEY = :libpusher_records
    LOG = FFI::Function.new(:void, %i[pointer int32 string string]) do |_, level, message, fields|
      Thread.current[RECORDS_KEY]&.messages&.push([level, message, fields])
    end
    OBSERVER = FFI::Function.new(:void, %i[pointer int32 uint64 string]) do |_, kind, call_id, fields|
      Thread.current[RECORDS_KEY]&.observations&.push([kind, call_id, fields])
    end
    private_constant :Records, :RECORDS_KEY

    # Sets an observer callback that collects observations for {telling}.
    def self.set_observer(handle)
      call { |out| pusher_set_observer(handle, OBSERVER, nil, nil, out) }
    end

    # Sets a log callback that collects messages for {telling}.
    def self.set_log(handle)
      call { |out| pusher_set_log(handle, LOG, nil, nil, out) }
    end

    # Collects what the callbacks of a call on this thread say.
    def self.recording(records)
      Thread.current[RECORDS_KEY] = records
      yield
    ensure
      Thread.current[RECORDS_KEY] = nil
    end

    # Passes records to the block, and afterwards their messages to `logger` and their observations to `observer`.
    def self.telling(logger, observer)
      records = Records.new([], [])
      yield records
    ensure
      records.messages.each { |level, message, fields| log(logger, level, message, fields) } if logger
      records.observations.each { |kind, call_id, fields| observe(observer, kind, call_id, fields) } if observer
    end

    KINDS = { 1 => :call_start, 2 => :attempt_start, 3 => :attempt_end, 4 => :call_end }.freeze
    private_constant :KINDS

    def self.observe(observer, kind, call_id, fields)
      observer.call(KINDS[kind], call_id, JSON.parse(fields, symbolize_names: true)) if KINDS.key?(kind)
    rescue StandardError
      # As with a log.
      nil
    end

    SEVERITIES = { 1 => :error, 2 => :warn, 3 => :info, 4 => :debug }.freeze
    private_constant :SEVERITIES

    def self.log(logger, level, message, fields)
      line = "#{message} #{fields}".force_encoding(Encoding::UTF_8)
      logger.public_send(SEVERITIES.fetch(level, :info), line)
    rescue StandardError
      # A failing log must not turn a delivered event into a failure.
      nil
    end
    private_class_method :log, :observe, :recording, :telling
  end
end
