# frozen_string_literal: true

require 'digest'

module LibPusher
  # A channel, with shorter calls for frequent use.
  class Channel
    # @return [String]
    attr_reader :name

    # @param _url not used; the official gem has it here.
    # @param name [String]
    # @param client [Client, LibPusher]
    # @raise [UsageError] the name is none of a channel.
    def initialize(_url, name, client = LibPusher)
      @client = client
      @name = Arguments.channel_name(name)
      (client.is_a?(Module) ? client.default_client : client).check_channel(@name)
    end

    # Publishes an event, and raises an error if that fails.
    # @param params [Hash, String] as for {Client#trigger}; a string is the socket id to exclude.
    # @return [Hash]
    # @see Client#trigger
    def trigger!(event_name, data, params = {})
      @client.trigger(name, event_name, data, params.is_a?(String) ? { socket_id: params } : params)
    end

    # Publishes an event. A failure is only logged, at the level `error`, as in the official gem.
    # @deprecated The program does not learn of a failure: use {#trigger!} or {Client#trigger}.
    # @return [Hash, nil] nil: it failed.
    def trigger(event_name, data, params = {})
      trigger!(event_name, data, params)
    rescue Error => e
      # With a response, the message may end with the server's words, which may contain the request's data.
      message = e.response ? "the server answered #{e.http_status}" : e.message
      @client.log(:error, "#{message} (#{e.class}, delivery: #{e.delivery})")
      @client.log(:debug, e.backtrace.join("\n"))
      nil
    end

    # Publishes an event on a thread of its own.
    # @return [Future]
    # @see Client#trigger_async
    def trigger_async(event_name, data, params = {})
      @client.trigger_async(name, event_name, data, params.is_a?(String) ? { socket_id: params } : params)
    end

    # @param attributes [String, Array<String>] such as `%w[user_count]`
    # @return [Hash]
    # @see Client#channel_info
    def info(attributes = [])
      @client.channel_info(name, attributes.nil? || attributes == [] ? {} : { info: attributes })
    end

    # @return [Array<Hash>]
    # @see Client#channel_users
    def users(params = {})
      answer = @client.channel_users(name, params)
      answer.is_a?(Hash) ? answer[:users] : answer
    end

    # @return [Hash]
    # @see Client#authenticate
    def authenticate(socket_id, custom_data = nil)
      @client.authenticate(name, socket_id, custom_data)
    end

    # Returns only the member `auth` of {#authenticate}.
    # @param custom_string [String, nil] the JSON of the channel data, as it will be sent
    # @return [String]
    def authentication_string(socket_id, custom_string = nil)
      unless custom_string.nil? || custom_string.is_a?(String)
        Arguments.refuse('custom_string', 'must be a string of JSON', {})
      end
      @client.authorize(name, socket_id, Arguments.text(custom_string, 'channel_data'))[:auth]
    end

    # Returns the key of the channel, if it is an encrypted one.
    # @param encryption_master_key [String, nil] the bytes of the master key
    # @return [String, nil] 32 bytes, nil without a master key
    def shared_secret(encryption_master_key)
      Digest::SHA256.digest(name.b + Arguments.bytes(encryption_master_key, 'encryption_master_key')) if encryption_master_key
    end

    def inspect = "#<#{self.class} #{name}>"
  end
end
