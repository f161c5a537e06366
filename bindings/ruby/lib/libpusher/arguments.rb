# frozen_string_literal: true

require 'json'

module LibPusher
  # Converts native values to the string arguments of the C functions, in their order. Each method has the name and the arguments
  # of a method of {Client}; errors name the argument as the C function does.
  # @api private
  module Arguments
    # The C function of each method that makes a network call.
    FUNCTIONS = {
      trigger: :pusher_trigger,
      trigger_batch: :pusher_trigger_batch,
      send_to_user: :pusher_send_to_user,
      terminate_user_connections: :pusher_terminate_user_connections,
      channels: :pusher_channels_info,
      channel_info: :pusher_channel_info,
      channel_users: :pusher_users_info,
      get: :pusher_get,
      post: :pusher_post,
      delete: :pusher_delete
    }.freeze

    # Those whose success says that something was delivered.
    SENDING = %i[trigger trigger_batch send_to_user terminate_user_connections post delete].freeze

    # Errors found here have a delivery too if the call publishes.
    NOT_SENT = { 'delivery' => 'not_sent' }.freeze
    NO_EVENT = {}.freeze
    JSON_DEPTH = 100
    # Requests of Rails have another method named method.
    METHOD = Kernel.instance_method(:method)
    private_constant :NOT_SENT, :NO_EVENT, :JSON_DEPTH, :METHOD

    module_function

    def trigger(channels, event_name, data, params = {})
      [channels(channels), text(event_name, 'event', NOT_SENT), json(data, 'data', NOT_SENT), options(params, NOT_SENT)]
    end

    def trigger_batch(*events, **options)
      # A single event without braces arrives as keywords.
      events, options = [options], {} if events.empty? && options.key?(:channel)
      events = events.flatten(1).map { |event| event.is_a?(Hash) ? with_info(with_names(event), NOT_SENT) : event }
      [json(events, 'events', NOT_SENT), options(options, NOT_SENT)]
    end

    def send_to_user(user_id, event_name, data, params = {})
      [text(user_id, 'user_id', NOT_SENT), text(event_name, 'event', NOT_SENT), json(data, 'data', NOT_SENT),
       options(params, NOT_SENT)]
    end

    def terminate_user_connections(user_id, params = {})
      [text(user_id, 'user_id', NOT_SENT), options(params, NOT_SENT)]
    end

    def channels_info(params = {})
      prefix, params = taken(params, :filter_by_prefix)
      attributes, params = taken(params, :info)
      [text(prefix, 'prefix_filter'), attributes(attributes), options(params)]
    end

    def channel_info(channel, params = {})
      attributes, params = taken(params, :info)
      [text(channel, 'channel'), attributes(attributes), options(params)]
    end

    def channel_users(channel, params = {})
      [text(channel, 'channel'), options(params)]
    end

    def get(path, params = {}, options = {})
      [text(path, 'path'), object(params, 'params'), options(options)]
    end

    def post(path, body = {}, params = {}, options = {})
      [text(path, 'path', NOT_SENT), object(params, 'params', NOT_SENT), json(body, 'body', NOT_SENT),
       options(options, NOT_SENT)]
    end

    def delete(path, params = {}, options = {})
      [text(path, 'path', NOT_SENT), object(params, 'params', NOT_SENT), options(options, NOT_SENT)]
    end

    # Returns the C function of a method.
    def function(call)
      name = FUNCTIONS.keys.find { |method| call == method || call == method.to_s }
      FUNCTIONS.fetch(name) do
        refuse('call', 'is not the name of a method that makes a network call', {})
      end
    end

    # Returns the string arguments of the method `call`, a key of {FUNCTIONS}.
    def of(call, *arguments, **keywords)
      name = call == :channels ? :channels_info : call
      keywords.empty? ? public_send(name, *arguments) : public_send(name, *arguments, **keywords)
    end

    # Returns one name as it is, several as a JSON array. A single name that looks like an array stays one name: a name from outside
    # must not become several.
    def channels(channels)
      case channels
      when nil then nil
      when Array then json(names(channels), 'channels', NOT_SENT)
      else
        name = text(channels, 'channels', NOT_SENT)
        # C parses a string that begins with white space or a bracket as an array. No name begins so.
        array_like?(name) ? json([name], 'channels', NOT_SENT) : name
      end
    end

    # Returns a list with its names as strings, by the rule of {text}. The library refuses other elements.
    def names(list)
      list.is_a?(Array) ? list.map { |name| name.is_a?(Integer) ? name.to_s : name } : list
    end

    # Returns the name of a channel, which is not checked yet.
    def channel_name(name)
      text(name, 'channel') || refuse('channel', 'must be a string', NO_EVENT)
    end

    # Checks a byte, because the string may not be UTF-8.
    def array_like?(name)
      first = name.getbyte(0)
      first && (first <= 0x20 || first == '['.ord)
    end

    def attributes(value)
      text(value.is_a?(Array) ? joined(value, 'attributes', NO_EVENT) : value, 'attributes')
    end

    def options(params, document = NO_EVENT)
      object(params.is_a?(Hash) ? with_info(params, document) : params, 'options', document)
    end

    # Returns a JSON object, or nil if it would be empty.
    def object(value, argument, document = NO_EVENT)
      return if value.nil? || (value.respond_to?(:empty?) && value.empty?)

      json(value, argument, document)
    end

    # @return [String, nil] a UTF-8 copy (or bytes, which the library checks), which no other thread can change.
    def text(value, argument, document = NO_EVENT)
      case value
      when String then value = utf8(value, argument, document)
      when Symbol, Integer then value = utf8(value.to_s, argument, document)
      when nil then return
      else refuse(argument, 'must be a string', document)
      end
      # A NUL ends a C string: one name would be checked and another one signed.
      refuse(argument, 'must not have a NUL byte', document) if value.include?("\0")
      value
    end

    # Returns a string as it is, which may be any bytes.
    def bytes(value, argument)
      value.is_a?(String) ? value.b : refuse(argument, 'must be a string', NO_EVENT)
    end

    # Returns a whole number of milliseconds, as C takes it.
    def milliseconds(value, argument)
      return value if value.is_a?(Integer) && value.between?(0, 0xFFFF_FFFF)

      refuse(argument, 'must be an integer from 0 to 4294967295', NO_EVENT)
    end

    # Encodes `data`. A string becomes a JSON string, whose content is sent. In Rails, records and times become what `as_json` makes
    # of them.
    def json(value, argument, document = NO_EVENT)
      text = JSON.generate(value.respond_to?(:as_json) ? plain(value) : value)
      # JSON contains no NUL, but the output of an object's to_json may.
      refuse(argument, 'must not have a NUL byte outside a JSON string', document) if text.include?("\0")
      text
    rescue JSON::GeneratorError, JSON::NestingError, EncodingError => e
      refuse(argument, "cannot be written as JSON: #{e.message.scrub}", document)
    end

    # Returns a value with the results of `as_json` in place of objects that JSON.generate would write by their `to_s`. Numbers and
    # strings stay, because `as_json` makes nil of NaN.
    def plain(value, depth = 0)
      # JSON.generate refuses what is nested so deeply.
      return value if depth > JSON_DEPTH

      case value
      when nil, true, false, String, Symbol, Integer, Float then value
      when Hash then value.to_h { |key, member| [key, plain(member, depth + 1)] }
      when Array then value.map { |member| plain(member, depth + 1) }
      else own_json?(value) ? value : plain(value.as_json, depth + 1)
      end
    end

    # Returns whether its class writes JSON itself: Active Support's method is the one of a module.
    def own_json?(value)
      owner = METHOD.bind_call(value, :to_json).owner
      owner.is_a?(Class) && owner != Object && METHOD.bind_call(value, :as_json).owner == Object
    end

    # The library reads bytes, and refuses them if they are not UTF-8.
    def utf8(value, argument, document)
      case value.encoding
      when Encoding::UTF_8, Encoding::US_ASCII, Encoding::BINARY then value.dup
      else value.encode(Encoding::UTF_8)
      end
    rescue EncodingError => e
      refuse(argument, "cannot be written as UTF-8: #{e.message.scrub}", document)
    end

    def refuse(argument, problem, document)
      document = { 'status' => 'INVALID_ARGUMENT', 'message' => "#{argument}: #{problem}", 'argument' => argument,
                   **document }
      # The cause of an exception is printed too. It may have a part of the payload.
      raise UsageError.new(document, Native::INVALID_ARGUMENT), cause: nil
    end

    # Joins `info`, which may be a list.
    def with_info(hash, document)
      key = hash.key?(:info) ? :info : 'info'
      hash[key].is_a?(Array) ? hash.merge(key => joined(hash[key], 'info', document)) : hash
    end

    # Joins the bytes of strings, which may have several encodings. The library refuses them if they are not UTF-8.
    def joined(list, argument, document)
      list.map { |item| text(item, argument, document).to_s.b }.join(',').force_encoding(Encoding::UTF_8)
    end

    # Returns an event whose names are strings, by the rule of {text}.
    def with_names(event)
      event.to_h { |key, value| [key, value.is_a?(Integer) && %w[channel name].include?(key.to_s) ? value.to_s : value] }
    end

    # Returns a member, and the other members.
    def taken(params, key)
      params = {} if params.nil?
      refuse('params', 'must be a hash', NO_EVENT) unless params.is_a?(Hash)
      return [nil, params] unless params.key?(key) || params.key?(key.to_s)

      [params.fetch(key) { params[key.to_s] }, params.reject { |name, _| name.to_s == key.to_s }]
    end

    private_class_method :array_like?, :plain, :own_json?, :utf8, :with_info, :joined, :with_names, :taken
  end
end
