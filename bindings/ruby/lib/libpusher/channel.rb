# frozen_string_literal: true

module LibPusher
  # A channel, with shorter calls for frequent use.
  class Channel
    # @return [String]
    attr_reader :name

    # @api private
    def initialize(name, client)
      @name = name
      @client = client
    end

    # @return [Hash]
    # @see Client#trigger
    def trigger(event_name, data, params = {})
      @client.trigger(name, event_name, data, params)
    end

    # The same as trigger. In the official gem only `trigger!` raises errors; here both do.
    alias trigger! trigger

    # @param attributes [String, Array<String>] such as `%w[user_count]`
    # @return [Hash]
    # @see Client#channel_info
    def info(attributes = [])
      @client.channel_info(name, attributes.empty? ? {} : { info: attributes })
    end

    # @return [Array<Hash>]
    # @see Client#channel_users
    def users(params = {})
      @client.channel_users(name, params)[:users]
    end

    # @return [Hash]
    # @see Client#authenticate
    def authenticate(socket_id, custom_data = nil)
      @client.authenticate(name, socket_id, custom_data)
    end
  end
end
